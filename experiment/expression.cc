// Evaluation: what an expression is worth at a point.
#include "experiment/expression.h"

#include <algorithm>

#include "experiment/expression_term.h"

namespace regatta {
namespace {

using Kind = Expression::Term::Kind;

bool is_true(const std::optional<Value>& value) {
  if (!value) {
    return false;
  }
  if (const auto* flag = std::get_if<bool>(&*value)) {
    return *flag;
  }
  if (const auto* text = std::get_if<std::string>(&*value)) {
    return !text->empty();
  }
  return as_number(*value).value_or(0) != 0;
}

template <class T>
bool are_ordered(Kind kind, const T& a, const T& b) {
  switch (kind) {
    case Kind::less:
      return a < b;
    case Kind::at_most:
      return a <= b;
    case Kind::more:
      return a > b;
    default:
      return a >= b;
  }
}

// Numbers with numbers, texts with texts; there is no order between other things.
bool in_order(Kind kind, const Value& left, const Value& right) {
  const auto number_a = as_number(left);
  const auto number_b = as_number(right);
  if (number_a && number_b) {
    return are_ordered(kind, *number_a, *number_b);
  }
  const auto* text_a = std::get_if<std::string>(&left);
  const auto* text_b = std::get_if<std::string>(&right);
  return text_a != nullptr && text_b != nullptr && are_ordered(kind, *text_a, *text_b);
}

}  // namespace

bool Expression::Term::mentions_parameter() const {
  return kind == Kind::parameter || std::any_of(operands.begin(), operands.end(),
                                                [](const Term& term) { return term.mentions_parameter(); });
}

std::optional<Value> Expression::Term::value(const Lookup& lookup) const {
  switch (kind) {
    case Kind::literal:
      return literal;
    case Kind::parameter:
      return lookup(text);
    case Kind::negate:
    case Kind::add:
    case Kind::subtract:
    case Kind::multiply:
    case Kind::divide:
      return arithmetic(lookup);
    default:
      return holds(lookup);
  }
}

bool Expression::Term::holds(const Lookup& lookup) const {
  switch (kind) {
    case Kind::both:
      return operands[0].holds(lookup) && operands[1].holds(lookup);
    case Kind::either:
      return operands[0].holds(lookup) || operands[1].holds(lookup);
    case Kind::inverse:
      return !operands[0].holds(lookup);
    case Kind::equal:
    case Kind::not_equal:
    case Kind::less:
    case Kind::at_most:
    case Kind::more:
    case Kind::at_least:
    case Kind::among:
      return compare(lookup);
    default:
      return is_true(value(lookup));
  }
}

std::optional<Value> Expression::Term::arithmetic(const Lookup& lookup) const {
  std::vector<double> numbers;
  for (const Term& operand : operands) {
    const auto operand_value = operand.value(lookup);
    const auto number = operand_value ? as_number(*operand_value) : std::nullopt;
    if (!number) {
      return std::nullopt;
    }
    numbers.push_back(*number);
  }
  switch (kind) {
    case Kind::negate:
      return -numbers[0];
    case Kind::add:
      return numbers[0] + numbers[1];
    case Kind::subtract:
      return numbers[0] - numbers[1];
    case Kind::multiply:
      return numbers[0] * numbers[1];
    default:
      return numbers[0] / numbers[1];
  }
}

bool Expression::Term::compare(const Lookup& lookup) const {
  std::vector<Value> values;
  for (const Term& operand : operands) {
    auto operand_value = operand.value(lookup);
    if (!operand_value) {
      return false;
    }
    values.push_back(*std::move(operand_value));
  }
  switch (kind) {
    case Kind::equal:
      return same_value(values[0], values[1]);
    case Kind::not_equal:
      return !same_value(values[0], values[1]);
    case Kind::among:
      return std::any_of(values.begin() + 1, values.end(),
                         [&](const Value& value) { return same_value(values[0], value); });
    default:
      return in_order(kind, values[0], values[1]);
  }
}

bool Expression::holds(const Lookup& lookup) const { return root_ != nullptr && root_->holds(lookup); }

}  // namespace regatta
