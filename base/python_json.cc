// One pass that only knows what is inside a text and what is not.
#include "base/python_json.h"

#include <array>

namespace regatta {
namespace {

constexpr std::array<std::string_view, 3> kNotFinite{"-Infinity", "Infinity", "NaN"};

}  // namespace

std::string to_plain_json(std::string_view text) {
  std::string plain;
  bool in_text = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string_view word;
    for (const std::string_view name : kNotFinite) {
      if (!in_text && word.empty() && text.substr(at).starts_with(name)) {
        word = name;
      }
    }
    if (!word.empty()) {
      plain += "null";
      at += word.size() - 1;
      continue;
    }
    plain += text[at];
    if (in_text && text[at] == '\\' && at + 1 < text.size()) {
      plain += text[++at];
    } else if (text[at] == '"') {
      in_text = !in_text;
    }
  }
  return plain;
}

}  // namespace regatta
