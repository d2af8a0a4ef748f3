// A table of names and what they stand for; a mistyped name is answered with the nearest.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "experiment/section.h"

namespace regatta {

template <class Entry, std::size_t kSize>  // Entry: a struct with `name`
std::vector<std::string> names_of(const std::array<Entry, kSize>& table) {
  std::vector<std::string> names;
  for (const Entry& entry : table) {
    names.emplace_back(entry.name);
  }
  return names;
}

// `what` is "a sampler" or the like.
template <class Entry, std::size_t kSize>
Result<const Entry*> find_named(const std::array<Entry, kSize>& table, const Typed& config,
                                std::string_view what) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Entry& entry) { return entry.name == config.type; });
  if (found != table.end()) {
    return &*found;
  }
  const std::vector<std::string> names = names_of(table);
  return mistake_at(config.place, fmt::format("'{}' is not {}: expected {}{}", config.type, what,
                                              one_of(names), did_you_mean(config.type, names)));
}

}  // namespace regatta
