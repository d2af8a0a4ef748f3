// What commands print. A reader that went away (`regatta run … | head`) is no reason to end a study, so
// nothing here fails.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace regatta {

template <class... Arguments>
void print_to(std::FILE* stream, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  const std::string text = fmt::format(format, std::forward<Arguments>(arguments)...);
  std::fwrite(text.data(), 1, text.size(), stream);
}

template <class... Arguments>
void print_out(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  print_to(stdout, format, std::forward<Arguments>(arguments)...);
}

}  // namespace regatta
