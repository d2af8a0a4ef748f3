// Which samples train, which validate, which test.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"

namespace regatta {

struct SplitShares {
  double validation = 0;  // of all samples; a share above 0 gets at least one sample
  double test = 0;
  std::optional<std::int64_t> limit;  // at most so many training samples
};

// Sample numbers, ascending; no sample is in two parts.
struct SplitSamples {
  std::vector<std::int64_t> train;
  std::vector<std::int64_t> validation;
  std::vector<std::int64_t> test;
};

// All samples in a random order of which every prefix holds each class in its share, to within one sample.
// `labels` is empty where there are no classes.
std::vector<std::int64_t> stratified_order(std::int64_t count, std::span<const std::int32_t> labels,
                                           std::uint64_t seed);

// The first samples train, those that follow validate, the last ones test: where neighbours are alike, as in
// a text.
Result<SplitSamples> split_in_order(std::int64_t count, const SplitShares& shares);

// Deals that order out: first validation, then test, then train. A mistake if nothing is left for training.
Result<SplitSamples> split_samples(std::int64_t count, std::span<const std::int32_t> labels,
                                   const SplitShares& shares, std::uint64_t seed);

}  // namespace regatta
