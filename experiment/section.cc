// Typed reads with one kind of sentence: what was expected, for which key, and what was found.
#include "experiment/section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "experiment/value.h"

namespace regatta {
namespace {

constexpr std::size_t kMaxShownCharacters = 60;
constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53: above it a double skips integers

// What was found, for the end of a message.
std::string found_in(const Node& node) {
  if (!node.is_scalar()) {
    return std::string(node.describe());
  }
  if (node.text().size() > kMaxShownCharacters) {
    return fmt::format("'{}…'", node.text().substr(0, kMaxShownCharacters));
  }
  if (node.quoted() && !std::holds_alternative<std::string>(value_of_scalar(node.text(), false))) {
    return fmt::format("the text '{}'", node.text());
  }
  return as_number(value_of_scalar(node.text(), node.quoted())) ? node.text()
                                                                : fmt::format("'{}'", node.text());
}

Error unexpected(const Node& node, std::string_view expected, std::string_view subject) {
  return mistake_at(node.place(), fmt::format("expected {}{}, not {}", expected, subject, found_in(node)));
}

std::string for_key(std::string_view key) { return fmt::format(" for '{}'", key); }

std::string range_words(const NumberRule& rule) {
  const bool has_min = std::isfinite(rule.min);
  const bool has_max = std::isfinite(rule.max);
  if (has_min && has_max && !rule.min_excluded && !rule.max_excluded) {
    return fmt::format(" from {} to {}", format_number(rule.min), format_number(rule.max));
  }
  std::string words;
  if (has_min) {
    words += fmt::format(" {} {}", rule.min_excluded ? "above" : "of at least", format_number(rule.min));
  }
  if (has_max) {
    words += has_min ? " and" : "";
    words += fmt::format(" {} {}", rule.max_excluded ? "below" : "of at most", format_number(rule.max));
  }
  return words;
}

Result<double> number_of(const Node& node, const NumberRule& rule, std::string_view subject) {
  const auto number =
      node.is_scalar() ? as_number(value_of_scalar(node.text(), node.quoted())) : std::nullopt;
  const bool inside = number && std::isfinite(*number) &&
                      (rule.min_excluded ? *number > rule.min : *number >= rule.min) &&
                      (rule.max_excluded ? *number < rule.max : *number <= rule.max);
  if (!inside) {
    return unexpected(node, "a number" + range_words(rule), subject);
  }
  return *number;
}

std::string range_words(const IntegerRule& rule) {
  using Limits = std::numeric_limits<std::int64_t>;
  const bool has_min = rule.min != Limits::min();
  const bool has_max = rule.max != Limits::max();
  if (has_min && has_max) {
    return fmt::format(" from {} to {}", rule.min, rule.max);
  }
  if (has_min) {
    return fmt::format(" of at least {}", rule.min);
  }
  return has_max ? fmt::format(" of at most {}", rule.max) : "";
}

std::optional<std::int64_t> integer_in(const Node& node) {
  const Value value = value_of_scalar(node.text(), node.quoted());
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return *integer;
  }
  // 1e5 is how people write large counts.
  const auto* number = std::get_if<double>(&value);
  if (number != nullptr && std::abs(*number) <= kMaxExactInteger && *number == std::trunc(*number)) {
    return static_cast<std::int64_t>(*number);
  }
  return std::nullopt;
}

Result<std::int64_t> integer_of(const Node& node, const IntegerRule& rule, std::string_view subject) {
  const auto integer = node.is_scalar() ? integer_in(node) : std::nullopt;
  if (!integer || *integer < rule.min || *integer > rule.max) {
    return unexpected(node, "an integer" + range_words(rule), subject);
  }
  return *integer;
}

Result<bool> flag_of(const Node& node, std::string_view subject) {
  if (node.is_scalar()) {
    const Value value = value_of_scalar(node.text(), node.quoted());
    if (const auto* flag = std::get_if<bool>(&value)) {
      return *flag;
    }
  }
  return unexpected(node, "true or false", subject);
}

Result<std::string> text_of(const Node& node, std::string_view subject) {
  if (!node.is_scalar()) {
    return unexpected(node, "a text", subject);
  }
  return node.text();
}

}  // namespace

Section::Section(const Node& node, std::string what) : node_(&node), what_(std::move(what)) {
  if (!node.is_map() && !node.is_null()) {
    fail(unexpected(node, "a map", " for " + what_));
  }
}

const Node* Section::child(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
    known_.emplace_back(key);
  }
  return node_->find(key);
}

const Node* Section::required_child(std::string_view key) {
  const Node* node = child(key);
  if (node == nullptr && !error_) {
    error_ = mistake_at(place(), fmt::format("'{}' is missing in {}", key, what_));
    key_is_missing_ = true;
  }
  return node;
}

double Section::number(std::string_view key, NumberRule rule) {
  const Node* node = rule.fallback ? child(key) : required_child(key);
  const double fallback = rule.fallback.value_or(0);
  return node != nullptr ? take(number_of(*node, rule, for_key(key))).value_or(fallback) : fallback;
}

std::optional<double> Section::optional_number(std::string_view key, NumberRule rule) {
  const Node* node = child(key);
  if (node == nullptr || node->is_null()) {
    return rule.fallback;
  }
  const auto number = take(number_of(*node, rule, for_key(key)));
  return number ? number : rule.fallback;
}

std::int64_t Section::integer(std::string_view key, IntegerRule rule) {
  const Node* node = rule.fallback ? child(key) : required_child(key);
  const std::int64_t fallback = rule.fallback.value_or(0);
  return node != nullptr ? take(integer_of(*node, rule, for_key(key))).value_or(fallback) : fallback;
}

std::optional<std::int64_t> Section::optional_integer(std::string_view key, IntegerRule rule) {
  const Node* node = child(key);
  if (node == nullptr || node->is_null()) {
    return rule.fallback;
  }
  const auto integer = take(integer_of(*node, rule, for_key(key)));
  return integer ? integer : rule.fallback;
}

bool Section::flag(std::string_view key, std::optional<bool> fallback) {
  const Node* node = fallback ? child(key) : required_child(key);
  const bool otherwise = fallback.value_or(false);
  return node != nullptr ? take(flag_of(*node, for_key(key))).value_or(otherwise) : otherwise;
}

std::string Section::text(std::string_view key, std::optional<std::string> fallback) {
  const Node* node = fallback ? child(key) : required_child(key);
  std::string otherwise = fallback.value_or("");
  return node != nullptr ? take(text_of(*node, for_key(key))).value_or(otherwise) : otherwise;
}

std::optional<std::string> Section::optional_text(std::string_view key) {
  const Node* node = child(key);
  return node == nullptr || node->is_null() ? std::nullopt : take(text_of(*node, for_key(key)));
}

std::string Section::choice(std::string_view key, const std::vector<std::string>& names,
                            std::optional<std::string> fallback) {
  const Node* node = fallback ? child(key) : required_child(key);
  const std::string otherwise = fallback.value_or(names.empty() ? "" : names.front());
  if (node == nullptr) {
    return otherwise;
  }
  if (node->is_scalar() && std::find(names.begin(), names.end(), node->text()) != names.end()) {
    return node->text();
  }
  Error error = unexpected(*node, one_of(names), for_key(key));
  error.message += node->is_scalar() ? did_you_mean(node->text(), names) : "";
  fail(error);
  return otherwise;
}

std::vector<std::string> Section::texts(std::string_view key,
                                        std::optional<std::vector<std::string>> fallback) {
  const Node* node = fallback ? child(key) : required_child(key);
  if (node == nullptr) {
    return fallback.value_or(std::vector<std::string>{});
  }
  if (node->is_scalar()) {
    return {node->text()};
  }
  if (!node->is_sequence()) {
    fail(unexpected(*node, "a list of texts", for_key(key)));
  }
  std::vector<std::string> texts;
  for (const Node& item : node->items()) {
    if (auto text = take(text_of(item, fmt::format(" in '{}'", key)))) {
      texts.push_back(*std::move(text));
    }
  }
  return texts;
}

void Section::mistake(const Place& place, std::string_view message) { fail(mistake_at(place, message)); }

void Section::fail(const Error& error) {
  if (!error_) {
    error_ = error;
  }
}

Status Section::finish() const {
  // A key that is missing because it was mistyped is better told as the mistyped key.
  if (error_ && !key_is_missing_) {
    return *error_;
  }
  for (const Node::Entry& entry : node_->entries()) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) {
      continue;
    }
    std::string hint = did_you_mean(entry.key, known_);
    if (hint.empty() && !known_.empty()) {
      hint = fmt::format("; known are {}", fmt::join(known_, ", "));
    }
    return mistake_at(entry.key_place, fmt::format("unknown key '{}' in {}{}", entry.key, what_, hint));
  }
  return error_ ? Status(*error_) : Status();
}

Result<Typed> read_typed(const Node& node, std::string_view what) {
  if (node.is_scalar()) {
    return Typed{node.text(), node.place(), Node::map(node.place(), {})};
  }
  if (!node.is_map()) {
    return unexpected(node, "a name or a map with 'type'", fmt::format(" for {}", what));
  }
  const Node* type = node.find("type");
  if (type == nullptr) {
    return mistake_at(node.place(), fmt::format("'type' is missing in {}", what));
  }
  ASSIGN_OR_RETURN(std::string name, text_of(*type, for_key("type")));
  std::vector<Node::Entry> options;
  for (const Node::Entry& entry : node.entries()) {
    if (entry.key != "type") {
      options.push_back(entry);
    }
  }
  return Typed{std::move(name), type->place(), Node::map(node.place(), std::move(options))};
}

Result<double> read_number(const Node& node, const NumberRule& rule) { return number_of(node, rule, ""); }

Result<std::int64_t> read_integer(const Node& node, const IntegerRule& rule) {
  return integer_of(node, rule, "");
}

Result<bool> read_flag(const Node& node) { return flag_of(node, ""); }

Result<std::string> read_text(const Node& node) { return text_of(node, ""); }

}  // namespace regatta
