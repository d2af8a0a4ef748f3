// Conditions and constraints over parameters: "optimizer == sgd", "layers >= 2 and width * depth < 4096",
// "kind in [a, b]". A bare word that is no parameter is a text.
//
//   expression := or;  or := and {"or" and};  and := not {"and" not};  not := "not" not | comparison
//   comparison := sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum | "in" "[" sum {"," sum} "]"]
//   sum := product {("+" | "-") product};  product := unary {("*" | "/") unary};  unary := "-" unary | atom
//   atom := number | "text" | 'text' | word | "(" or ")"
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiment/value.h"

namespace regatta {

class Expression {
 public:
  // A parameter's value; nullopt when the parameter is inactive at this point.
  using Lookup = std::function<std::optional<Value>(std::string_view name)>;

  // `parameters` are the words that may be used as names; `scope` says in messages which these are. Errors
  // carry the place of the expression. Parts that no parameter can change are mistakes: they are mistyped
  // names.
  static Result<Expression> parse(std::string_view text, const std::vector<std::string>& parameters,
                                  const Place& place, std::string_view scope = "declared above");

  // Truth at a point. A comparison that touches an inactive parameter is false.
  bool holds(const Lookup& lookup) const;

  const std::string& text() const { return text_; }
  const std::vector<std::string>& names() const { return names_; }  // the parameters it uses, each once

  // "name == value", "name != value", "name in [value, …]": what the expression expects a parameter to be.
  struct Equality {
    std::string name;
    Value value;
  };
  const std::vector<Equality>& equalities() const { return equalities_; }

  struct Term;  // the tree, known only to expression*.cc

 private:
  class Parser;
  std::string text_;
  std::vector<std::string> names_;
  std::vector<Equality> equalities_;
  std::shared_ptr<const Term> root_;  // shared: expressions are immutable and copied with their space
};

}  // namespace regatta
