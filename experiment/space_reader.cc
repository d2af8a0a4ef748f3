// Reads the `space:` section: every range is checked here, so that Space can rely on it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "experiment/section.h"
#include "experiment/space.h"

namespace regatta {
namespace {

// Within these the maps to and from the unit cube are exact to the integer: a double has 53 bits, and a
// logarithm needs some of them for its whole part.
constexpr std::int64_t kMaxInteger = 1'000'000'000'000'000;
constexpr std::int64_t kMaxLogInteger = 1'000'000'000'000;
constexpr double kMaxSteps = 1e15;

bool is_name(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && is_letter(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

// Words that mean something else in an expression.
bool is_reserved(const std::string& text) {
  static constexpr std::array<std::string_view, 4> kKeywords = {"and", "or", "not", "in"};
  return std::find(kKeywords.begin(), kKeywords.end(), text) != kKeywords.end() ||
         !std::holds_alternative<std::string>(value_of_scalar(text, false));
}

Status check_ends(const Node& range) {
  if (!range.is_sequence() || range.items().size() != 2) {
    return mistake_at(range.place(), "expected the two ends of a range, such as [0, 1]");
  }
  return {};
}

Error ends_in_disorder(const Node& range) {
  return mistake_at(range.place(), fmt::format("expected the lower end before the upper one, not [{}, {}]",
                                               range.items()[0].text(), range.items()[1].text()));
}

Result<Domain> read_float(const Node& range, Section& section) {
  RETURN_IF_ERROR(check_ends(range));
  FloatDomain domain;
  domain.log = section.flag("log", false);
  const NumberRule low_rule = domain.log ? NumberRule{.min = 0, .min_excluded = true} : NumberRule{};
  ASSIGN_OR_RETURN(domain.low, read_number(range.items()[0], low_rule));
  ASSIGN_OR_RETURN(domain.high, read_number(range.items()[1]));
  if (domain.low >= domain.high) {
    return ends_in_disorder(range);
  }
  domain.step = section.optional_number("step", {.min = 0, .min_excluded = true});
  if (domain.step) {
    const Node& step = *section.child("step");
    if (domain.log) {
      return mistake_at(step.place(), "a logarithmic range takes no step");
    }
    if (*domain.step > domain.high - domain.low) {
      return mistake_at(step.place(),
                        fmt::format("expected a step within the range, which is {} wide, not {}",
                                    format_number(domain.high - domain.low), step.text()));
    }
    if ((domain.high - domain.low) / *domain.step > kMaxSteps) {
      return mistake_at(step.place(), "expected a larger step: the range has more than 1e15 of them");
    }
  }
  return Domain(std::move(domain));
}

Result<Domain> read_int(const Node& range, Section& section) {
  RETURN_IF_ERROR(check_ends(range));
  IntDomain domain;
  domain.log = section.flag("log", false);
  const IntegerRule rule = domain.log ? IntegerRule{.min = 1, .max = kMaxLogInteger}
                                      : IntegerRule{.min = -kMaxInteger, .max = kMaxInteger};
  ASSIGN_OR_RETURN(domain.low, read_integer(range.items()[0], rule));
  ASSIGN_OR_RETURN(domain.high, read_integer(range.items()[1], rule));
  if (domain.low > domain.high) {
    return ends_in_disorder(range);
  }
  const auto step = section.optional_integer("step", {.min = 1});
  if (step && domain.log) {
    return mistake_at(section.child("step")->place(), "a logarithmic range takes no step");
  }
  if (step && *step > std::max<std::int64_t>(domain.high - domain.low, 1)) {
    return mistake_at(section.child("step")->place(),
                      fmt::format("expected a step within the range, which is {} wide, not {}",
                                  domain.high - domain.low, *step));
  }
  domain.step = step.value_or(1);
  return Domain(std::move(domain));
}

Result<Domain> read_choice(const Node& list) {
  if (!list.is_sequence() || list.items().empty()) {
    return mistake_at(list.place(), "expected a list of one or more choices, such as [a, b]");
  }
  ChoiceDomain domain;
  for (const Node& item : list.items()) {
    if (!item.is_scalar() && !item.is_null()) {
      return mistake_at(item.place(),
                        fmt::format("expected a text, a number, true, false or null as a choice, "
                                    "not {}",
                                    item.describe()));
    }
    Value choice = value_of_scalar(item.text(), item.quoted());
    if (!std::isfinite(as_number(choice).value_or(0))) {
      return mistake_at(item.place(),
                        fmt::format("expected a finite number as a choice, not {}", item.text()));
    }
    const bool is_known = std::any_of(domain.choices.begin(), domain.choices.end(),
                                      [&](const Value& known) { return same_value(known, choice); });
    if (is_known) {
      return mistake_at(item.place(), fmt::format("the choice {} stands twice", to_string(choice)));
    }
    domain.choices.push_back(std::move(choice));
  }
  return Domain(std::move(domain));
}

// A condition that expects what a choice never is would silently never hold.
Status check_equalities(const Expression& when, const std::vector<Parameter>& earlier, const Place& place) {
  for (const Expression::Equality& equality : when.equalities()) {
    const auto parameter = std::find_if(earlier.begin(), earlier.end(),
                                        [&](const Parameter& other) { return other.name == equality.name; });
    const auto* domain = std::get_if<ChoiceDomain>(&parameter->domain);
    if (domain == nullptr) {
      continue;
    }
    std::vector<std::string> choices;
    bool is_choice = false;
    for (const Value& choice : domain->choices) {
      is_choice = is_choice || same_value(choice, equality.value);
      choices.push_back(to_string(choice));
    }
    if (!is_choice) {
      const std::string value = to_string(equality.value);
      return mistake_at(place, fmt::format("'{}' is {}, never {}{}", equality.name, one_of(choices), value,
                                           did_you_mean(value, choices)));
    }
  }
  return {};
}

Result<Expression> read_condition(const Node& node, const std::vector<Parameter>& earlier) {
  if (!node.is_scalar()) {
    return mistake_at(node.place(), fmt::format("expected a condition such as \"optimizer == sgd\", not {}",
                                                node.describe()));
  }
  std::vector<std::string> names;
  for (const Parameter& parameter : earlier) {
    names.push_back(parameter.name);
  }
  ASSIGN_OR_RETURN(Expression when, Expression::parse(node.text(), names, node.place()));
  RETURN_IF_ERROR(check_equalities(when, earlier, node.place()));
  return when;
}

constexpr std::string_view kRequire = "require";

Result<Expression> read_requirement(const Node& node, const std::vector<Parameter>& parameters) {
  if (!node.is_scalar()) {
    return mistake_at(
        node.place(),
        fmt::format("expected a requirement such as \"width * depth < 4096\", not {}", node.describe()));
  }
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters) {
    names.push_back(parameter.name);
  }
  ASSIGN_OR_RETURN(Expression requirement,
                   Expression::parse(node.text(), names, node.place(), "of the space"));
  RETURN_IF_ERROR(check_equalities(requirement, parameters, node.place()));
  return requirement;
}

// One that leaves nothing is told with its own place, several that do so together with that of their list.
Status check_allowance(const Space& space, const Node& node) {
  const auto leaves_nothing = [](const Space& restricted) {
    if (!allowed_draws(restricted, 1).empty()) {
      return false;
    }
    return restricted.cardinality().value_or(0) == 0;
  };
  if (!leaves_nothing(space)) {
    return {};
  }
  const std::string draws = space.is_finite() && space.cardinality()
                                ? "no point of the space is allowed"
                                : fmt::format("none of {} points drawn at random is allowed",
                                              format_count(static_cast<std::int64_t>(kAllowanceDraws)));
  for (std::size_t i = 0; node.is_sequence() && i < node.items().size(); ++i) {
    if (leaves_nothing(Space(space.parameters(), {space.requirements()[i]}))) {
      return mistake_at(node.items()[i].place(),
                        fmt::format("{} by '{}'", draws, space.requirements()[i].text()));
    }
  }
  return mistake_at(node.place(), node.is_sequence()
                                      ? draws + " by these requirements together"
                                      : fmt::format("{} by '{}'", draws, space.requirements()[0].text()));
}

Result<Space> read_requirements(const Node& node, std::vector<Parameter> parameters) {
  if (node.is_map()) {
    return mistake_at(node.place(),
                      "'require' stands for what the points of the space must satisfy, such as \"width * "
                      "depth < 4096\" or a list of these; a parameter needs another name");
  }
  std::vector<Expression> requirements;
  for (const Node& item : node.is_sequence() ? node.items() : std::vector<Node>{node}) {
    ASSIGN_OR_RETURN(Expression requirement, read_requirement(item, parameters));
    requirements.push_back(std::move(requirement));
  }
  Space space(std::move(parameters), std::move(requirements));
  RETURN_IF_ERROR(check_allowance(space, node));
  return space;
}

Result<Parameter> read_parameter(const Node::Entry& entry, const std::vector<Parameter>& earlier) {
  if (!is_name(entry.key) || is_reserved(entry.key)) {
    return mistake_at(
        entry.key_place,
        fmt::format("'{}' cannot name a parameter: a name is letters, digits and _, begins with no "
                    "digit, and is no word of expressions",
                    entry.key));
  }
  Section section(entry.value, fmt::format("parameter '{}'", entry.key));
  const Node* const as_float = section.child("float");
  const Node* const as_int = section.child("int");
  const Node* const as_choice = section.child("choice");
  const Node* const when = section.child("when");
  const auto kinds = (as_float != nullptr) + (as_int != nullptr) + (as_choice != nullptr);
  if (as_choice == nullptr) {
    section.child("step");
    section.child("log");
  }
  if (kinds != 1) {
    RETURN_IF_ERROR(section.finish());  // a mistyped key is the better message
    return mistake_at(entry.value.place(),
                      fmt::format("expected one of float, int or choice for parameter '{}'", entry.key));
  }
  Parameter parameter{.name = entry.key, .place = entry.key_place};
  ASSIGN_OR_RETURN(parameter.domain, as_float != nullptr ? read_float(*as_float, section)
                                     : as_int != nullptr ? read_int(*as_int, section)
                                                         : read_choice(*as_choice));
  if (when != nullptr) {
    ASSIGN_OR_RETURN(parameter.when, read_condition(*when, earlier));
  }
  RETURN_IF_ERROR(section.finish());
  return parameter;
}

}  // namespace

Result<Space> read_space(const Node& node) {
  if (!node.is_map() && !node.is_null()) {
    return mistake_at(node.place(),
                      fmt::format("expected a map of parameters for space, not {}", node.describe()));
  }
  std::vector<Parameter> parameters;
  for (const Node::Entry& entry : node.entries()) {
    if (entry.key == kRequire) {
      continue;
    }
    ASSIGN_OR_RETURN(Parameter parameter, read_parameter(entry, parameters));
    parameters.push_back(std::move(parameter));
  }
  const Node* const require = node.find(kRequire);
  return require != nullptr ? read_requirements(*require, std::move(parameters))
                            : Space(std::move(parameters));
}

}  // namespace regatta
