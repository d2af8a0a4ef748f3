// The history as the samplers that only rank see it: trials from best to worst, kept up to date at the price
// of what has changed.
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "search/evidence.h"
#include "search/trial.h"

namespace regatta {

// A cache: after update() it is a function of the arguments alone, given that an ended trial's scores change
// only together with its state, its last epoch or its last value.
class TrialRanking {
 public:
  enum class Group {
    observed,  // as in Evidence
    short_of,  // stopped, or paused, short of the epoch of comparison: they were doing worse
    failed,
    open,  // waiting or running
  };
  struct Place {
    Group group = Group::open;
    double first = 0;   // observed: the value, or the place in the Pareto order; short_of: minus its epochs
    double second = 0;  // short_of: its value
    int number = 0;

    auto operator<=>(const Place&) const = default;
  };

  explicit TrialRanking(std::size_t objectives) : objectives_(objectives) {}

  // `enough`: as for gather_evidence.
  void update(std::span<const Trial> history, std::size_t enough);

  // Every trial, group after group, and from best to worst within each.
  std::span<const Place> places() const { return places_; }
  std::size_t observed() const { return observed_; }
  std::size_t judged() const { return places_.size() - open_; }  // observed, short_of or failed

 private:
  struct Digest {  // what a place depends on
    TrialState state = TrialState::waiting;
    std::size_t scores = 0;
    int last_epoch = 0;
    double last_value = 0;

    bool operator==(const Digest&) const = default;
  };
  static Digest digest_of(const Trial& trial);
  Place place_of(const Trial& trial) const;
  void rebuild(std::span<const Trial> history);
  void count(const Place& place, int change);

  std::size_t objectives_;
  EpochCensus census_;
  int epoch_ = 0;
  std::vector<Digest> digests_;  // by number
  std::vector<Place> place_of_;  // by number
  std::vector<Place> places_;    // sorted
  std::size_t observed_ = 0;
  std::size_t open_ = 0;
};

}  // namespace regatta
