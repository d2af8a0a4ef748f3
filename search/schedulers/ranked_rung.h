// A rung of an asynchronous ladder: scores as they come in, and which trial of the best 1/η may go on.
#pragma once

#include <compare>
#include <optional>
#include <set>

namespace regatta {

// A trial's place in a ranking: lower values first, ties by the lower trial number.
struct Ranked {
  double value = 0;  // never NaN
  int trial = 0;
  friend auto operator<=>(const Ranked&, const Ranked&) = default;
};

class RankedRung {
 public:
  explicit RankedRung(int eta) : eta_(eta) {}

  // A trial reached the rung. O(log n), like everything here. The same entry twice (a failed trial that
  // failed again) counts once.
  void record(const Ranked& entry);
  // Whether a recorded entry is among the best ⌊size / η⌋.
  bool in_top(const Ranked& entry) const;
  bool has_no_top() const { return top_.empty(); }  // fewer than η entries

  // Candidates are recorded entries whose trial is paused here: neither promoted nor ended.
  void add_candidate(const Ranked& entry) { candidates_.insert(entry); }
  void remove_candidate(const Ranked& entry) { candidates_.erase(entry); }
  // The best candidate, if it is in the top.
  std::optional<Ranked> promotable() const;

  int size() const { return static_cast<int>(top_.size() + rest_.size()); }

 private:
  int eta_;
  std::set<Ranked> top_;         // the best ⌊size / η⌋
  std::set<Ranked> rest_;        // all others; each is behind all of top_
  std::set<Ranked> candidates_;  // a subset of both together
};

}  // namespace regatta
