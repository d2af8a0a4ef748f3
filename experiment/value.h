// A parameter's value as the user sees it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "experiment/node.h"

namespace regatta {

// null, true/false, integer, number, text: what a YAML scalar can be, and what Optuna stores as a choice.
using Value = std::variant<std::nullptr_t, bool, std::int64_t, double, std::string>;

// The core schema of YAML 1.2: unquoted null/~, true/false, integers, floats (.inf, .nan); all else is text.
Value value_of_scalar(const std::string& text, bool quoted);

// As it would stand in a YAML file: 0.001, sgd, true, null; texts that would read as another type are quoted.
std::string to_string(const Value& value);

// As it stands inside a longer text: never quoted.
std::string plain_text(const Value& value);

// The number of an integer or a number; nullopt for all else.
std::optional<double> as_number(const Value& value);

// Equal as the user sees it: 1 and 1.0 are the same, 1 and "1" are not.
bool same_value(const Value& a, const Value& b);

// A scalar node with this value.
Node to_node(const Value& value, Place place);

}  // namespace regatta
