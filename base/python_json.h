// JSON as Python's json module writes it, where NaN and Infinity may stand for numbers.
#pragma once

#include <string>
#include <string_view>

namespace regatta {

// NaN, Infinity and -Infinity outside of texts become null; all else stays as it is, JSON or not.
std::string to_plain_json(std::string_view text);

}  // namespace regatta
