// Splits: parts without overlap, classes in their shares.
#include "data/split.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <set>

namespace regatta {
namespace {

// Classes of very different sizes: 600, 300, 90, 10.
std::vector<std::int32_t> uneven_labels() {
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 1000; ++i) {
    labels.push_back(i % 100 < 60 ? 0 : i % 100 < 90 ? 1 : i % 100 < 99 ? 2 : 3);
  }
  return labels;
}

std::map<std::int32_t, std::int64_t> classes_of(const std::vector<std::int64_t>& samples,
                                                const std::vector<std::int32_t>& labels) {
  std::map<std::int32_t, std::int64_t> counts;
  for (const std::int64_t sample : samples) {
    ++counts[labels[static_cast<std::size_t>(sample)]];
  }
  return counts;
}

TEST(Split, PartsAreDisjointAndCoverEverything) {
  const auto labels = uneven_labels();
  const auto split = split_samples(1000, labels, {.validation = 0.1, .test = 0.25}, 3).value();
  EXPECT_EQ(split.validation.size(), 100U);
  EXPECT_EQ(split.test.size(), 250U);
  std::set<std::int64_t> all;
  for (const auto* part : {&split.train, &split.validation, &split.test}) {
    EXPECT_TRUE(std::is_sorted(part->begin(), part->end()));
    all.insert(part->begin(), part->end());
  }
  EXPECT_EQ(all.size(), 1000U);
}

TEST(Split, EveryPartHoldsEachClassInItsShare) {
  const auto labels = uneven_labels();
  for (const std::uint64_t seed : {1, 2, 3}) {
    const auto split =
        split_samples(1000, labels, {.validation = 0.1, .test = 0.2, .limit = 350}, seed).value();
    EXPECT_EQ(split.train.size(), 350U);
    for (const auto* part : {&split.train, &split.validation, &split.test}) {
      const auto counts = classes_of(*part, labels);
      const auto all = classes_of(
          [] {
            std::vector<std::int64_t> every(1000);
            for (std::size_t i = 0; i < every.size(); ++i) {
              every[i] = static_cast<std::int64_t>(i);
            }
            return every;
          }(),
          labels);
      for (const auto& [label, count] : all) {
        const double expected = static_cast<double>(count * static_cast<std::int64_t>(part->size())) / 1000;
        EXPECT_LE(std::abs(static_cast<double>(counts.at(label)) - expected), 1.0) << "class " << label;
      }
    }
  }
}

TEST(Split, DependsOnTheSeedAndOnNothingElse) {
  const auto labels = uneven_labels();
  EXPECT_EQ(stratified_order(1000, labels, 5), stratified_order(1000, labels, 5));
  EXPECT_NE(stratified_order(1000, labels, 5), stratified_order(1000, labels, 6));
  EXPECT_NE(stratified_order(1000, {}, 5), stratified_order(1000, {}, 6));
}

TEST(Split, ALimitChangesOnlyTheTrainingPart) {
  const auto labels = uneven_labels();
  const auto whole = split_samples(1000, labels, {.validation = 0.2}, 1).value();
  const auto limited = split_samples(1000, labels, {.validation = 0.2, .limit = 50}, 1).value();
  EXPECT_EQ(limited.validation, whole.validation);
  EXPECT_THAT(whole.train, testing::IsSupersetOf(limited.train));
}

TEST(Split, FewSamplesStillValidateOrAreRefused) {
  EXPECT_EQ(split_samples(3, {}, {.validation = 0.01}, 1).value().validation.size(), 1U);
  const auto none_left = split_samples(2, {}, {.validation = 0.1, .test = 0.1}, 1);
  ASSERT_FALSE(none_left.ok());
  EXPECT_EQ(none_left.error().message,
            "of 2 samples, 1 for validation and 1 for the test leave none to train on");
}

}  // namespace
}  // namespace regatta
