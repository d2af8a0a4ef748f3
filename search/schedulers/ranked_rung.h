// A rung of an asynchronous ladder: scores as they come in, and which trial of the best 1/η may go on.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "search/pareto.h"

namespace regatta {

// A trial's place in a ranking: lower values first, ties by the lower trial number.
struct Ranked {
  double value = 0;  // never NaN
  int trial = 0;
  friend auto operator<=>(const Ranked&, const Ranked&) = default;
};

// Trials from best to worst, each with the same number of values. One objective: by value, ties by the lower
// number. Several: by front, then from lonely to crowded, as in NSGA-II; Schmucker et al., "Multi-objective
// asynchronous successive halving", arXiv:2106.12639 (2021), rank rungs likewise.
std::vector<int> ranked_trials(const std::map<int, Objectives>& values);

struct RungOptions {
  int eta = 3;
  // Of two or more entries the best is always in the top, though they be fewer than η.
  bool leader = false;
};

class RankedRung {
 public:
  explicit RankedRung(const RungOptions& options) : options_(options) {}

  // A trial reached the rung; without values it failed and stands behind all others. One objective: O(log n),
  // like everything here. Several: O(n log n), because every new one can change the place of all.
  void record(int trial, const Objectives& values);
  // Whether a recorded trial is in the top: among the best ⌊size / η⌋, or the leader.
  bool in_top(int trial) const { return is_in_top(entry_of(trial)); }
  bool has_no_top() const { return top_.empty(); }  // too few entries

  // Candidates are recorded trials that are paused here: neither promoted nor ended.
  void add_candidate(int trial) { candidates_.insert(entry_of(trial)); }
  void remove_candidate(int trial) { candidates_.erase(entry_of(trial)); }
  // The best candidate, if it is in the top.
  std::optional<int> promotable() const;

  int size() const { return static_cast<int>(top_.size() + rest_.size()); }

 private:
  Ranked entry_of(int trial) const { return {places_.at(trial), trial}; }
  bool is_in_top(const Ranked& entry) const { return !top_.empty() && entry <= *top_.rbegin(); }
  std::size_t quota() const;
  void insert(const Ranked& entry);
  void rank_again();

  RungOptions options_;
  std::map<int, double> places_;       // by trial: its value, or with several objectives its rank
  std::map<int, Objectives> vectors_;  // several objectives: of the trials that did not fail
  std::set<Ranked> top_;               // the best quota()
  std::set<Ranked> rest_;              // all others; each is behind all of top_
  std::set<Ranked> candidates_;        // a subset of both together
};

}  // namespace regatta
