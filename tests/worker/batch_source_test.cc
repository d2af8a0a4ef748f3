// Batches that an engine makes itself are announced as those that the host makes.
#include "worker/batch_source.h"

#include <gtest/gtest.h>

#include <numeric>

#include "data/normalization.h"

namespace regatta {
namespace {

Split made_split(std::int64_t count) {
  Dataset dataset{.sample_shape = {1}, .count = count};
  dataset.inputs = std::vector<float>(static_cast<std::size_t>(count), 1.0F);
  dataset.labels.resize(static_cast<std::size_t>(count));
  Split split;
  split.normalization = std::make_shared<const Normalization>(without_normalization(dataset));
  split.dataset = std::make_shared<const Dataset>(std::move(dataset));
  split.samples.resize(static_cast<std::size_t>(count));
  std::iota(split.samples.begin(), split.samples.end(), 0);
  return split;
}

void expect_same_epoch(BatchSource& kept, BatchSource& host, std::int64_t epoch, std::int64_t first_step) {
  kept.start_epoch(epoch, first_step);
  host.start_epoch(epoch, first_step);
  for (std::int64_t step = first_step; step < host.steps_per_epoch(); ++step) {
    const BatchView* const expected = host.next();
    const BatchView* const announced = kept.next();
    ASSERT_NE(expected, nullptr);
    ASSERT_NE(announced, nullptr);
    EXPECT_EQ(announced->count, expected->count);
    EXPECT_EQ(announced->first_sample, expected->first_sample);
    EXPECT_EQ(expected->epoch, epoch);
    EXPECT_EQ(announced->epoch, epoch);
    EXPECT_EQ(expected->step, step);
    EXPECT_EQ(announced->step, step);
    EXPECT_EQ(static_cast<std::int64_t>(expected->inputs.size()), host.batch_capacity());
    EXPECT_TRUE(announced->inputs.empty());
  }
  EXPECT_EQ(host.next(), nullptr);
  EXPECT_EQ(kept.next(), nullptr);
}

TEST(BatchSource, KeptBatchesAreAnnouncedAsTheHostMakesThem) {
  const Split split = made_split(43);
  for (const bool shuffle : {true, false}) {
    for (const std::int64_t global_batch : {8, 43, 256}) {
      for (int rank = 0; rank < 3; ++rank) {
        const LoaderOptions options{
            .seed = 7, .global_batch = global_batch, .rank = rank, .ranks = 3, .shuffle = shuffle};
        const auto host = make_host_batches(split, options);
        const auto kept = make_kept_batches(split.count(), options, 0);
        EXPECT_EQ(kept->steps_per_epoch(), host->steps_per_epoch());
        EXPECT_EQ(kept->batch_capacity(), host->batch_capacity());
        EXPECT_EQ(kept->next(), nullptr) << "no epoch has begun";
        for (const std::int64_t first_step : {std::int64_t{0}, host->steps_per_epoch() - 1}) {
          expect_same_epoch(*kept, *host, 1, first_step);
        }
      }
    }
  }
}

TEST(BatchSource, KeptBatchesNameTheirPart) {
  const auto kept = make_kept_batches(3, {.shuffle = false}, 1);
  kept->start_epoch(0);
  const BatchView* const batch = kept->next();
  ASSERT_NE(batch, nullptr);
  EXPECT_EQ(batch->part, 1);
}

}  // namespace
}  // namespace regatta
