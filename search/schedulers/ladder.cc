// Integer arithmetic throughout: a logarithm in floating point loses a rung for R = 243, η = 3.
#include "search/schedulers/ladder.h"

#include <cstdint>

namespace regatta {

EpochRange read_epoch_range(Section& section) {
  EpochRange range;
  range.max_epochs = static_cast<int>(section.integer("max_epochs", {.min = 1, .max = kMaxEpochsLimit}));
  range.min_epochs =
      static_cast<int>(section.integer("min_epochs", {.fallback = 1, .min = 1, .max = kMaxEpochsLimit}));
  if (range.max_epochs > 0 && range.min_epochs > range.max_epochs) {
    const Node* node = section.child("min_epochs");
    section.mistake(node != nullptr ? node->place() : section.place(),
                    "expected min_epochs to be at most max_epochs");
  }
  return range;
}

LadderOptions read_ladder(Section& section) {
  const EpochRange range = read_epoch_range(section);
  return {.min_epochs = range.min_epochs,
          .max_epochs = range.max_epochs,
          .eta = static_cast<int>(section.integer("eta", {.fallback = 3, .min = 2, .max = kMaxEta}))};
}

std::vector<int> rungs_below_max(const LadderOptions& options) {
  std::int64_t divisor = 1;
  while (options.min_epochs * divisor * options.eta <= options.max_epochs) {
    divisor *= options.eta;
  }
  std::vector<int> epochs;
  for (; divisor >= 1; divisor /= options.eta) {
    epochs.push_back(static_cast<int>(options.max_epochs / divisor));
  }
  return epochs;
}

std::vector<int> rungs_above_min(const LadderOptions& options) {
  std::vector<int> epochs;
  for (std::int64_t epoch = options.min_epochs; epoch < options.max_epochs; epoch *= options.eta) {
    epochs.push_back(static_cast<int>(epoch));
  }
  epochs.push_back(options.max_epochs);
  return epochs;
}

std::vector<std::vector<RungPlan>> hyperband_round(const std::vector<int>& epochs, int eta) {
  const auto rungs = static_cast<std::int64_t>(epochs.size());  // s_max + 1
  std::vector<std::vector<RungPlan>> brackets;
  for (std::int64_t s = rungs - 1; s >= 0; --s) {
    std::int64_t growth = 1;  // η^s
    for (std::int64_t i = 0; i < s; ++i) {
      growth *= eta;
    }
    // n = ⌈(s_max + 1) / (s + 1) · η^s⌉ trials start; ⌊n · η^-i⌋ of them reach rung i.
    std::int64_t trials = (rungs * growth + s) / (s + 1);
    std::vector<RungPlan> bracket;
    for (std::int64_t i = 0; i <= s; ++i) {
      bracket.push_back({.bracket = static_cast<int>(brackets.size()),
                         .epochs = epochs[static_cast<std::size_t>(rungs - 1 - s + i)],
                         .trials = static_cast<int>(trials)});
      trials /= eta;
    }
    brackets.push_back(std::move(bracket));
  }
  return brackets;
}

}  // namespace regatta
