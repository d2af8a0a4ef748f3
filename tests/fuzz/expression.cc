// Expressions: a mistake has its place; what is accepted can stand in parentheses, and its inverse is true
// exactly where it is not.
#include "experiment/expression.h"

#include <algorithm>

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

const std::vector<std::string> kParameters = {"optimizer", "width", "lr", "a"};
const Place kPlace{"fuzz.yaml", 3, 5};

Result<Expression> parse(const std::string& text) { return Expression::parse(text, kParameters, kPlace); }

bool holds(const Expression& expression, std::size_t point) {
  static const std::vector<std::optional<Value>> kValues = {
      Value("sgd"), Value(std::int64_t{4}), Value(0.5), Value(true), Value(""), std::nullopt};
  return expression.holds([&](std::string_view name) {
    CHECK(std::ranges::find(kParameters, name) != kParameters.end(), name);
    return kValues[(name.size() * point + point) % kValues.size()];
  });
}

bool same_equalities(const Expression& a, const Expression& b) {
  return std::ranges::equal(a.equalities(), b.equalities(), [](const auto& one, const auto& other) {
    return one.name == other.name && to_string(one.value) == to_string(other.value);
  });
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {
      "optimizer == sgd",
      "optimizer in [sgd, 'adam w', \"x\"] and not lr < 1e-3",
      "width >= 2 and width * (lr + 1) / 3 - -2 != .5e+2 or a",
      "not (a or optimizer != true) and (width in [1, 2.0, -3] or lr <= 0x1f)",
      "a == null or a == 'it' or a > \"\"",
      std::string(300, '(') + "a" + std::string(300, ')'),
      std::string(100'000, '('),
      std::string(100'000, '-') + "a",
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string text(fuzz::text_of(data, size));
  const auto expression = parse(text);
  if (!expression.ok()) {
    CHECK(expression.error().message.starts_with("fuzz.yaml:3:5: "), expression.error().message);
    CHECK(expression.error().message.find('\n') == std::string::npos, expression.error().message);
    return 0;
  }
  CHECK(expression->text() == text);
  CHECK(!expression->names().empty());
  for (const std::string& name : expression->names()) {
    CHECK(std::ranges::find(kParameters, name) != kParameters.end(), name);
    CHECK(std::ranges::count(expression->names(), name) == 1, name);
  }
  constexpr std::size_t kShort = 200;  // longer ones may reach the limit of words when something is added
  if (text.size() > kShort) {
    return 0;
  }
  const auto inverse = parse("not (" + text + ")");
  const auto doubled = parse("(" + text + ") and (" + text + ")");
  CHECK(inverse.ok(), inverse.error().message);
  CHECK(doubled.ok(), doubled.error().message);
  CHECK(inverse->names() == expression->names() && doubled->names() == expression->names(), text);
  CHECK(same_equalities(*inverse, *expression), text);
  for (std::size_t point = 0; point < 6; ++point) {
    CHECK(holds(*inverse, point) != holds(*expression, point), text);
    CHECK(holds(*doubled, point) == holds(*expression, point), text);
  }
  return 0;
}
