// The tree of an expression: shared by its parser and its evaluation, of no use to others.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiment/expression.h"

namespace regatta {

struct Expression::Term {
  enum class Kind {
    literal,
    parameter,
    negate,
    add,
    subtract,
    multiply,
    divide,
    equal,
    not_equal,
    less,
    at_most,
    more,
    at_least,
    among,  // the first operand is one of the others
    both,
    either,
    inverse,
  };

  Kind kind = Kind::literal;
  std::string text = {};  // of a literal or a parameter, as written
  Value literal = nullptr;
  std::vector<Term> operands = {};

  bool mentions_parameter() const;
  // nullopt: an inactive parameter is involved, or arithmetic on something that is not a number.
  std::optional<Value> value(const Lookup& lookup) const;
  bool holds(const Lookup& lookup) const;

 private:
  std::optional<Value> arithmetic(const Lookup& lookup) const;
  bool compare(const Lookup& lookup) const;
};

}  // namespace regatta
