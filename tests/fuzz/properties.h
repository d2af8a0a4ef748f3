// What several targets check of an answer.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/result.h"

namespace regatta::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes ":NUMBER" off the front; 0: there is none.
inline int take_number(std::string_view& message) {
  int number = 0;
  if (message.starts_with(':')) {
    const auto [end, error] = std::from_chars(message.data() + 1, message.data() + message.size(), number);
    message.remove_prefix(error == std::errc() ? static_cast<std::size_t>(end - message.data()) : 0);
  }
  return number;
}

// "FILE:LINE:COLUMN: words" with a line that `text` has, or "FILE: words" about the whole; one line of words.
inline void check_place(const Error& error, std::string_view file, std::string_view text) {
  std::string_view message = error.message;
  CHECK(message.starts_with(file), message);
  CHECK(message.find('\n') == std::string_view::npos, message);
  CHECK(error.kind == Error::Kind::user_mistake, message);
  message.remove_prefix(file.size());
  if (!message.starts_with(": ")) {
    const int line = take_number(message);
    const int column = take_number(message);
    CHECK(line >= 1 && line <= std::count(text.begin(), text.end(), '\n') + 1, error.message);
    CHECK(column >= 1, error.message);
  }
  CHECK(message.starts_with(": ") && message.size() > 2, error.message);
}

}  // namespace regatta::fuzz
