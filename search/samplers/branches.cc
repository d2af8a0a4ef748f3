// Branches that a few hundred uniform points miss are too small for a right of their own.
#include "search/samplers/branches.h"

#include <algorithm>
#include <iterator>
#include <set>

namespace regatta {
namespace {

constexpr std::uint64_t kProbes = 256;

}  // namespace

Branches::Branches(const Space& space, const Random& random)
    : space_(&space), asked_for_(space.size(), false) {
  const auto& parameters = space.parameters();
  bool conditional = false;
  for (const Parameter& parameter : parameters) {
    if (!parameter.when) {
      continue;
    }
    conditional = true;
    for (const auto& name : parameter.when->names()) {
      const std::size_t index = *space.index_of(name);
      asked_for_[index] = asked_for_[index] || std::holds_alternative<ChoiceDomain>(parameters[index].domain);
    }
  }
  std::set<Key> keys;
  for (std::uint64_t probe = 0; conditional && probe < kProbes; ++probe) {
    std::vector<double> unit(space.size());
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = random.uniform(probe * unit.size() + i);
    }
    if (const Point point = space.from_unit(unit); space.allows(point)) {
      keys.insert(key(point));
    }
  }
  known_.assign(keys.begin(), keys.end());
}

Branches::Key Branches::key(const Point& point) const {
  Key key(point.size(), -1);
  for (std::size_t i = 0; i < point.size(); ++i) {
    if (point[i]) {
      key[i] = asked_for_[i] ? 1 + static_cast<int>(*point[i]) : 0;
    }
  }
  return key;
}

std::vector<Branches::Key> Branches::neglected(std::span<const Trial> history) const {
  if (known_.size() < 2) {
    return {};
  }
  std::map<Key, std::size_t> counts;
  for (const Trial& trial : history) {
    ++counts[key(trial.point)];
  }
  std::vector<Key> neglected;
  std::copy_if(known_.begin(), known_.end(), std::back_inserter(neglected),
               [&](const Key& key) { return counts[key] * 2 * known_.size() < history.size(); });
  std::stable_sort(neglected.begin(), neglected.end(),
                   [&](const Key& a, const Key& b) { return counts[a] < counts[b]; });
  return neglected;
}

}  // namespace regatta
