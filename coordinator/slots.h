// Sets of slots: each is the room for one crew of one size, numbered from 0.
#pragma once

#include <algorithm>
#include <iterator>
#include <vector>

namespace regatta {

inline bool overlap(const std::vector<int>& a, const std::vector<int>& b) {
  return std::ranges::any_of(a, [&](int slot) { return std::ranges::find(b, slot) != b.end(); });
}

// A crew each.
inline std::vector<std::vector<int>> one_each(const std::vector<int>& slots) {
  std::vector<std::vector<int>> crews;
  std::ranges::transform(slots, std::back_inserter(crews), [](int slot) { return std::vector{slot}; });
  return crews;
}

}  // namespace regatta
