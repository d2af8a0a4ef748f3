// Stratified splits from one order of the samples.
#include "data/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"

namespace regatta {
namespace {

std::int64_t share_of(double share, std::int64_t count) {
  return share > 0 ? std::max<std::int64_t>(1, std::llround(share * static_cast<double>(count))) : 0;
}

struct PartSizes {
  std::int64_t train = 0;
  std::int64_t validation = 0;
  std::int64_t test = 0;
};

Result<PartSizes> part_sizes(std::int64_t count, const SplitShares& shares) {
  const std::int64_t validation = share_of(shares.validation, count);
  const std::int64_t test = share_of(shares.test, count);
  const std::int64_t train = count - validation - test;
  if (train < 1) {
    return user_mistake(
        fmt::format("of {} samples, {} for validation and {} for the test leave none to train on", count,
                    validation, test));
  }
  return PartSizes{train, validation, test};
}

}  // namespace

// The j-th of a class's n samples gets the place (j + 1/2) / n in [0, 1]. Sorted by place, the classes are
// dealt out evenly: the first share p holds the samples with j + 1/2 < p·n of each class.
std::vector<std::int64_t> stratified_order(std::int64_t count, std::span<const std::int32_t> labels,
                                           std::uint64_t seed) {
  CHECK(labels.empty() || static_cast<std::int64_t>(labels.size()) == count);
  if (count == 0) {
    return {};
  }
  const auto label_of = [&](std::int64_t sample) {
    return labels.empty() ? std::size_t{0}
                          : static_cast<std::size_t>(labels[static_cast<std::size_t>(sample)]);
  };
  std::vector<std::int64_t> class_sizes(
      labels.empty() ? 1 : static_cast<std::size_t>(*std::ranges::max_element(labels)) + 1);
  for (std::int64_t sample = 0; sample < count; ++sample) {
    ++class_sizes[label_of(sample)];
  }

  struct Placed {
    double place;
    std::int64_t sample;
  };
  std::vector<Placed> placed;
  placed.reserve(static_cast<std::size_t>(count));
  std::vector<std::int64_t> seen(class_sizes.size());
  const Permutation shuffled(static_cast<std::uint64_t>(count), Random(seed, "data split"));
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
    const auto sample = static_cast<std::int64_t>(shuffled[i]);
    const std::size_t label = label_of(sample);
    const auto j = static_cast<double>(seen[label]++);
    placed.push_back({(j + 0.5) / static_cast<double>(class_sizes[label]), sample});
  }
  // Stable: classes of equal size share places, and then the shuffle decides.
  std::ranges::stable_sort(placed, {}, &Placed::place);

  std::vector<std::int64_t> order(placed.size());
  std::ranges::transform(placed, order.begin(), &Placed::sample);
  return order;
}

Result<SplitSamples> split_in_order(std::int64_t count, const SplitShares& shares) {
  ASSIGN_OR_RETURN(const auto sizes, part_sizes(count, shares));
  const auto take = [](std::int64_t begin, std::int64_t length) {
    std::vector<std::int64_t> samples(static_cast<std::size_t>(length));
    std::iota(samples.begin(), samples.end(), begin);
    return samples;
  };
  return SplitSamples{.train = take(0, std::min(sizes.train, shares.limit.value_or(sizes.train))),
                      .validation = take(sizes.train, sizes.validation),
                      .test = take(sizes.train + sizes.validation, sizes.test)};
}

Result<SplitSamples> split_samples(std::int64_t count, std::span<const std::int32_t> labels,
                                   const SplitShares& shares, std::uint64_t seed) {
  ASSIGN_OR_RETURN(const auto sizes, part_sizes(count, shares));
  const auto [train, validation, test] = sizes;
  const std::vector<std::int64_t> order = stratified_order(count, labels, seed);
  const auto take = [&](std::int64_t begin, std::int64_t length) {
    std::vector<std::int64_t> samples(order.begin() + begin, order.begin() + begin + length);
    std::ranges::sort(samples);
    return samples;
  };
  return SplitSamples{.train = take(validation + test, std::min(train, shares.limit.value_or(train))),
                      .validation = take(0, validation),
                      .test = take(validation, test)};
}

}  // namespace regatta
