// The geometry that Hyperband and ASHA share: budgets that grow by a factor, and Hyperband's bracket sizes.
// Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, "Hyperband: a novel bandit-based approach to hyperparameter
// optimization", JMLR 18 (2018), algorithm 1.
#pragma once

#include <cstdint>
#include <vector>

#include "experiment/section.h"
#include "search/scheduler.h"

namespace regatta {

struct LadderOptions {
  int min_epochs = 1;  // the smallest budget; no rung is below it
  int max_epochs = 1;  // R: the budget of the last rung
  int eta = 3;         // one in eta trials is promoted, and its budget is eta times as large
};

inline constexpr std::int64_t kMaxEta = 1000;
inline constexpr std::int64_t kMaxEpochsLimit = 1'000'000;  // keeps the trials of a round within an int

struct EpochRange {
  int min_epochs = 1;
  int max_epochs = 1;
};
// Reads min_epochs (1) and max_epochs (required); the first is at most the second.
EpochRange read_epoch_range(Section& section);

// Reads an epoch range and eta (3).
LadderOptions read_ladder(Section& section);

// Hyperband's ladder hangs from R: the budgets R·η^-s, …, R/η, R of the tallest one, rounded down to whole
// epochs, rising strictly; s_max = ⌊log_η(R / min_epochs)⌋, so there are s_max + 1 of them. Bracket s uses
// the last s + 1.
std::vector<int> rungs_below_max(const LadderOptions& options);
// ASHA's ladder stands on r = min_epochs: r, r·η, r·η², … below R, and then R.
std::vector<int> rungs_above_min(const LadderOptions& options);

// One round of Hyperband over the tallest ladder's budgets: the rungs of brackets s = s_max, …, 0, numbered
// 0, …, s_max in that order.
std::vector<std::vector<RungPlan>> hyperband_round(const std::vector<int>& epochs, int eta);

}  // namespace regatta
