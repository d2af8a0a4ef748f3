// Expressions: precedence, types, inactive parameters, and what is refused.
#include "experiment/expression.h"

#include <gmock/gmock.h>

#include <map>

namespace regatta {
namespace {

const Place kPlace{"exp.yaml", 4, 9};

// a is 1, b is 2, t is "sgd", f is true, gone is inactive.
bool holds(std::string_view text) {
  const std::map<std::string, Value, std::less<>> values = {
      {"a", std::int64_t{1}}, {"b", 2.0}, {"t", "sgd"}, {"f", true}};
  const auto expression = Expression::parse(text, {"a", "b", "t", "f", "gone"}, kPlace);
  EXPECT_TRUE(expression.ok()) << text << ": " << expression.error().message;
  return expression.ok() && expression->holds([&](std::string_view name) -> std::optional<Value> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  });
}

std::string mistake(std::string_view text) {
  const auto expression = Expression::parse(text, {"optimizer", "layers"}, kPlace);
  return expression.ok() ? "no mistake" : expression.error().message;
}

TEST(Expression, ComparesNumbersTextsAndFlags) {
  for (const char* text :
       {"a == 1",   "a == 1.0",         "a != 2",         "a < b",     "b > a",    "a <= 1",    "b >= 2",
        "t == sgd", "t == 'sgd'",       "t == \"sgd\"",   "t != adam", "t < tom",  "f == true", "f",
        "a",        "t in [adam, sgd]", "a in [3, 2, 1]", "t != null", "a != 'x'", "a != true"}) {
    EXPECT_TRUE(holds(text)) << text;
  }
  for (const char* text : {"a == 2", "a == '1'", "a > b", "t == adam", "t in [adam]", "not f", "f == false",
                           "t < 5", "t > 5", "f == 1", "t == SGD"}) {
    EXPECT_FALSE(holds(text)) << text;
  }
}

TEST(Expression, BindsProductsBeforeSumsBeforeComparisonsBeforeNotBeforeAndBeforeOr) {
  for (const char* text : {"1 + b * 3 == 7", "(1 + b) * 3 == 9", "7 - b - 1 == 4", "8 / b / 2 == 2",
                           "-b + 3 == 1", "- -b == 2", "3*-b == -6", "not a == 2", "not a == 1 or b == 2",
                           "not (a == 1 and b == 3)", "a == 1 or a == 2 and b == 3", "not not f",
                           "a + 1 in [b]", "1e1 - b == 8", "a == 1 and (b == 3 or t == sgd)"}) {
    EXPECT_TRUE(holds(text)) << text;
  }
  EXPECT_FALSE(holds("(a == 1 or a == 2) and b == 3"));
  EXPECT_FALSE(holds("not f or a == 2"));
}

TEST(Expression, IsFalseInAComparisonWithAnInactiveParameter) {
  for (const char* text : {"gone == 1", "gone != 1", "gone < 1", "gone + 1 > 0", "gone in [1]", "gone",
                           "a == gone", "a in [1, gone]"}) {
    EXPECT_FALSE(holds(text)) << text;
  }
  EXPECT_TRUE(holds("not gone == 1"));
  EXPECT_TRUE(holds("gone == 1 or a == 1"));
}

TEST(Expression, IsFalseWhereArithmeticHasNoNumber) {
  EXPECT_FALSE(holds("t + 1 > 0"));
  EXPECT_FALSE(holds("t + 1 != 0"));
}

TEST(Expression, KnowsItsNamesAndWhatItExpectsOfThem) {
  const auto expression =
      Expression::parse("a == x and b in [1, 2] and not (a != y or c > 3)", {"a", "b", "c"}, kPlace);
  ASSERT_TRUE(expression.ok());
  EXPECT_THAT(expression->names(), testing::ElementsAre("a", "b", "c"));
  std::vector<std::string> pairs;
  for (const auto& [name, value] : expression->equalities()) {
    pairs.push_back(name + "=" + to_string(value));
  }
  EXPECT_THAT(pairs, testing::ElementsAre("a=x", "b=1", "b=2", "a=y"));
  EXPECT_EQ(expression->text(), "a == x and b in [1, 2] and not (a != y or c > 3)");
}

TEST(Expression, RefusesMistakesWithThePlaceAndTheNearestName) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"", "expected a value, not 'the end'"},
      {"layers >", "expected a value, not 'the end'"},
      {"layers > 1 2", "expected 'and', 'or' or the end, not '2'"},
      {"1 < layers < 3", "expected 'and', 'or' or the end, not '<'"},
      {"(layers > 1", "expected ')', not 'the end'"},
      {"layers in 1", "expected a list such as [a, b] after 'in', not '1'"},
      {"layers in [1 2]", "expected ',' or ']', not '2'"},
      {"layers = 1", "unexpected '=' in the expression (did you mean '=='?)"},
      {"layers > 1 && layers < 3", "unexpected '&' in the expression"},
      {"layers > 1x", "expected a number, not '1x'"},
      {"optimizer == 'sgd", "expected a closing ' after 'sgd"},
      {"optimzer == sgd", "this comparison uses no parameter declared above (did you mean 'optimizer'?)"},
      {"layers > 1 or optimzer", "'optimzer' is not a parameter declared above (did you mean 'optimizer'?)"},
      {"not true", "'true' is not a parameter declared above"},
      {"optimizer == cma-es",
       "'cma' is neither a number nor a parameter declared above; a text with '-' in it needs "
       "quotes"},
      {"layer * 2 > optimizer",
       "'layer' is neither a number nor a parameter declared above (did you mean 'layers'?); "
       "a text with '-' in it needs quotes"},
      {"and", "expected a value, not 'and'"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_EQ(mistake(text), "exp.yaml:4:9: " + std::string(message)) << text;
  }
}

TEST(Expression, RefusesMoreWordsThanItsRecursionCanBear) {
  EXPECT_THAT(mistake(std::string(100'000, '(')), testing::HasSubstr("expected at most 500 words"));
}

}  // namespace
}  // namespace regatta
