// The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2, section 10.3), read and written.
#include "experiment/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/text.h"

namespace regatta {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

std::size_t count_digits(std::string_view text, std::size_t from) {
  std::size_t end = from;
  while (end < text.size() && is_digit(text[end])) {
    ++end;
  }
  return end - from;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?   given without its sign
bool is_float(std::string_view text) {
  const std::size_t whole = count_digits(text, 0);
  std::size_t at = whole;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = count_digits(text, at + 1);
    if (whole + fraction == 0) {
      return false;
    }
    at += 1 + fraction;
  } else if (whole == 0) {
    return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) {
      ++at;
    }
    const std::size_t exponent = count_digits(text, at);
    return exponent > 0 && at + exponent == text.size();
  }
  return at == text.size();
}

std::optional<std::int64_t> parse_integer(std::string_view text, int base) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

// A number of the core schema; nullopt for a text, and for a number that no int64 or double can hold.
std::optional<Value> parse_number(std::string_view text) {
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'o') && text[2] != '-') {
    const auto number = parse_integer(text.substr(2), text[1] == 'x' ? 16 : 8);
    return number ? std::optional<Value>(*number) : std::nullopt;
  }
  const bool has_sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  const std::string_view magnitude = text.substr(has_sign ? 1 : 0);
  const double sign = has_sign && text[0] == '-' ? -1 : 1;
  if (is_one_of(magnitude, {".inf", ".Inf", ".INF"})) {
    return sign * std::numeric_limits<double>::infinity();
  }
  if (is_one_of(text, {".nan", ".NaN", ".NAN"})) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (!is_float(magnitude)) {
    return std::nullopt;
  }
  const std::string_view digits = text[0] == '+' ? magnitude : text;  // from_chars takes no plus
  if (const auto integer = parse_integer(digits, 10)) {
    return *integer;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return number;
}

// Whether a text can stand without quotes wherever a value may, inside [ ] and { } too. Careful rather than
// complete: a text that is quoted without need is still the same text.
bool is_plain(std::string_view text) {
  if (text.empty() || text == "---" || text == "..." || text == "-") {
    return false;
  }
  const auto plain_anywhere = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
           c == '/' || c == '$' || c == '-' || c == '+';
  };
  return std::all_of(text.begin(), text.end(), plain_anywhere);
}

std::string in_quotes(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string number_text(double number) {
  if (std::isnan(number)) {
    return ".nan";
  }
  if (std::isinf(number)) {
    return number < 0 ? "-.inf" : ".inf";
  }
  const std::string text = format_number(number);
  // 64.0 must not come back as the integer 64.
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

}  // namespace

Value value_of_scalar(const std::string& text, bool quoted) {
  if (quoted) {
    return text;
  }
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) {
    return nullptr;
  }
  if (is_one_of(text, {"true", "True", "TRUE"})) {
    return true;
  }
  if (is_one_of(text, {"false", "False", "FALSE"})) {
    return false;
  }
  return parse_number(text).value_or(Value(text));
}

std::string to_string(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) {
    return *flag ? "true" : "false";
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return std::to_string(*integer);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return number_text(*number);
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    const bool reads_as_text = std::holds_alternative<std::string>(value_of_scalar(*text, false));
    return is_plain(*text) && reads_as_text ? *text : in_quotes(*text);
  }
  return "null";
}

std::string plain_text(const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text != nullptr ? *text : to_string(value);
}

std::optional<double> as_number(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return static_cast<double>(*integer);
  }
  if (const auto* number = std::get_if<double>(&value)) {
    return *number;
  }
  return std::nullopt;
}

bool same_value(const Value& a, const Value& b) {
  const auto number_a = as_number(a);
  const auto number_b = as_number(b);
  return number_a && number_b ? *number_a == *number_b : a == b;
}

Node to_node(const Value& value, Place place) {
  if (std::holds_alternative<std::nullptr_t>(value)) {
    return Node::null(std::move(place));
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    return Node::scalar(std::move(place), *text,
                        !std::holds_alternative<std::string>(value_of_scalar(*text, false)));
  }
  return Node::scalar(std::move(place), to_string(value), false);
}

}  // namespace regatta
