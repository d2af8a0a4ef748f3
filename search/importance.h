// How much each parameter matters for good results: PED-ANOVA. Watanabe, Bansal, Hutter, "PED-ANOVA:
// efficiently quantifying hyperparameter importance in arbitrary subspaces", IJCAI 2023, equation 8 and
// theorem 1.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "search/trial.h"

namespace regatta {

struct ParameterImportance {
  std::size_t parameter = 0;  // index in the space
  double importance = 0;      // share of the whole; the shares add up to 1, or are all 0
  // Pearson divergence of the parameter's distribution in the best trials from that in all, among those in
  // which it is active; `chance` is the mean of the same for as many trials drawn at random.
  double divergence = 0;
  double chance = 0;
  std::size_t trials = 0;  // in which it is active
  std::size_t best = 0;    // that count as good among them
  // Of these: the smallest and largest number; of a choice the most frequent one, and how often it stands.
  double low = 0;
  double high = 0;
  std::size_t choice = 0;
  std::size_t choice_count = 0;
};

struct Importance {
  std::size_t trials = 0;                       // that were used
  std::size_t best = 0;                         // that count as good
  std::vector<ParameterImportance> parameters;  // the most important first
};

// Compares the best tenth of the ended trials with all of them, by their first objective. Trials that the
// scheduler stopped early, and failed ones, stand with the worst; invalid ones are left out. A parameter that
// is not always active is judged among the trials in which it is, and counts by its share of the best trials.
// What as many random trials would show by chance is taken off. Fails with fewer than kMinImportanceTrials
// values.
inline constexpr std::size_t kMinImportanceTrials = 10;
Result<Importance> parameter_importance(const Space& space, std::span<const Trial> trials);

}  // namespace regatta
