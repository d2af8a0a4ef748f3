// Every parameter is drawn first; then the values of the trial are laid over the draws.
#include "search/transfer.h"

#include "base/random.h"
#include "search/evidence.h"

namespace regatta {
namespace {

constexpr std::uint64_t kDraws =
    20;  // of the parameters that the other study lacks, until the point is allowed

class Carrier {
 public:
  Carrier(const Space& theirs, const Space& ours)
      : theirs_(theirs), ours_(ours), everything_(ours.unconditional()) {
    for (const Parameter& parameter : ours.parameters()) {
      sources_.push_back(theirs.index_of(parameter.name));
    }
  }

  // nullopt: outside of our space.
  std::optional<Point> carry(const Point& point, const Random& random) const {
    for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
      auto carried = carry_once(point, random, draw);
      if (!carried || ours_.allows(*carried)) {
        return carried;
      }
    }
    return std::nullopt;
  }

 private:
  std::optional<Point> carry_once(const Point& point, const Random& random, std::uint64_t draw) const {
    std::vector<double> unit(ours_.size());
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = random.uniform(draw * unit.size() + i);
    }
    Point carried = everything_.from_unit(unit);
    std::vector<bool> is_outside(ours_.size());
    for (std::size_t i = 0; i < ours_.size(); ++i) {
      const auto value = sources_[i] ? theirs_.value(point, *sources_[i]) : std::nullopt;
      if (value) {
        const auto number = ours_.parameters()[i].encode(*value);
        is_outside[i] = !number;
        carried[i] = number ? number : carried[i];
      }
    }
    carried = ours_.drop_inactive(std::move(carried));
    for (std::size_t i = 0; i < ours_.size(); ++i) {
      if (is_outside[i] && carried[i]) {
        return std::nullopt;
      }
    }
    return carried;
  }

  const Space& theirs_;
  const Space& ours_;
  Space everything_;
  std::vector<std::optional<std::size_t>> sources_;  // by our parameter: theirs of the same name
};

}  // namespace

EarlierStudy transfer(const Space& theirs, std::span<const Trial> trials, const Space& ours,
                      std::uint64_t seed) {
  const Carrier carrier(theirs, ours);
  const Random random(seed, "earlier study");
  EarlierStudy result;
  for (const Trial& trial : trials) {
    if (!is_evidence(trial)) {
      continue;
    }
    auto point = carrier.carry(trial.point, random.substream(static_cast<std::uint64_t>(trial.number)));
    if (!point) {
      ++result.outside;
      continue;
    }
    Trial carried = trial;
    carried.number = static_cast<int>(result.trials.size());
    carried.point = *std::move(point);
    result.trials.push_back(std::move(carried));
  }
  return result;
}

}  // namespace regatta
