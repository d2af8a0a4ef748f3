// Words for people: durations, counts, and the nearest known name for a mistyped one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace regatta {

// "0.8 s", "12 s", "3 min 05 s", "2 h 14 min".
std::string format_duration(double seconds);

// "1,234,567".
std::string format_count(std::int64_t count);

// Shortest text that reads back as the same number: 0.1, 3e-05, 64.
std::string format_number(double number);

// The known name within a third of its length in edits (insert, delete, replace, swap of neighbours), if
// there is one.
std::optional<std::string> nearest_name(std::string_view word, std::span<const std::string> known);

// " (did you mean 'conv'?)", or nothing when no name is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

// "a, b or c".
std::string one_of(std::span<const std::string> names);

}  // namespace regatta
