// The loader: which samples come when, for any number of ranks.
#include "data/loader.h"

#include <gmock/gmock.h>

#include <numeric>
#include <set>

#include "data/normalization.h"

namespace regatta {
namespace {

// Sample i of the dataset is {i, 10 i} with the label i; the split holds the samples from 3 on.
Split made_split(std::int64_t count) {
  Dataset dataset;
  dataset.sample_shape = {2};
  dataset.count = count + 3;
  std::vector<float> inputs;
  for (std::int64_t i = 0; i < dataset.count; ++i) {
    inputs.insert(inputs.end(), {static_cast<float>(i), static_cast<float>(10 * i)});
    dataset.labels.push_back(static_cast<std::int32_t>(i));
  }
  dataset.inputs = std::move(inputs);
  Split split;
  split.normalization = std::make_shared<const Normalization>(without_normalization(dataset));
  split.dataset = std::make_shared<const Dataset>(std::move(dataset));
  split.samples.resize(static_cast<std::size_t>(count));
  std::iota(split.samples.begin(), split.samples.end(), 3);
  return split;
}

using Labels = std::vector<std::int32_t>;

// The labels of an epoch's batches; checks on the way that inputs belong to their labels.
std::vector<Labels> batches_of(Loader& loader, std::int64_t epoch, std::int64_t first_step = 0) {
  std::vector<Labels> batches;
  loader.start_epoch(epoch, first_step);
  while (const Batch* batch = loader.next()) {
    EXPECT_EQ(batch->labels.size(), static_cast<std::size_t>(loader.batch_capacity()));
    for (std::size_t row = 0; row < batch->labels.size(); ++row) {
      EXPECT_EQ(batch->inputs[2 * row + 1], static_cast<float>(10 * batch->labels[row]));
    }
    batches.emplace_back(batch->labels.begin(), batch->labels.begin() + batch->count);
    EXPECT_EQ(std::accumulate(batch->labels.begin() + batch->count, batch->labels.end(), 0), 0);
  }
  EXPECT_EQ(loader.next(), nullptr);
  return batches;
}

// The same epoch over all ranks, each global batch put together.
std::vector<Labels> global_batches(const Split& split, LoaderOptions options, int ranks, std::int64_t epoch) {
  std::vector<Labels> whole;
  for (int rank = 0; rank < ranks; ++rank) {
    options.rank = rank;
    options.ranks = ranks;
    Loader loader(split, options);
    const auto part = batches_of(loader, epoch);
    whole.resize(part.size());
    for (std::size_t step = 0; step < part.size(); ++step) {
      whole[step].insert(whole[step].end(), part[step].begin(), part[step].end());
    }
  }
  return whole;
}

TEST(RankShare, CoversTheBatchWithSizesThatDifferByAtMostOne) {
  for (const std::int64_t global : {0, 1, 7, 256, 1000}) {
    for (const int ranks : {1, 2, 3, 4, 7}) {
      std::int64_t end = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const RankShare share = rank_share(global, rank, ranks);
        EXPECT_EQ(share.begin, end);
        EXPECT_GE(share.end - share.begin, global / ranks);
        EXPECT_LE(share.end - share.begin, global / ranks + 1);
        end = share.end;
      }
      EXPECT_EQ(end, global);
    }
  }
}

TEST(Loader, TheRanksTogetherGetTheBatchesOfOneRank) {
  const Split split = made_split(103);
  for (const bool shuffle : {true, false}) {
    const LoaderOptions options{.seed = 7, .global_batch = 10, .shuffle = shuffle};
    const auto expected = global_batches(split, options, 1, 2);
    ASSERT_EQ(expected.size(), shuffle ? 10U : 11U);
    for (const int ranks : {2, 3, 4, 16}) {
      EXPECT_EQ(global_batches(split, options, ranks, 2), expected) << ranks << " ranks";
    }
  }
}

TEST(Loader, TrainingShufflesEachEpochAnewAndLeavesOutTheIncompleteBatch) {
  const Split split = made_split(103);
  const LoaderOptions options{.seed = 7, .global_batch = 10};
  std::set<std::set<std::int32_t>> seen_sets;
  for (const std::int64_t epoch : {0, 1, 2}) {
    std::set<std::int32_t> seen;
    for (const Labels& batch : global_batches(split, options, 1, epoch)) {
      EXPECT_EQ(batch.size(), 10U);
      seen.insert(batch.begin(), batch.end());
    }
    EXPECT_EQ(seen.size(), 100U);
    seen_sets.insert(seen);
  }
  EXPECT_GT(seen_sets.size(), 1U);  // not always the same three are left out
  EXPECT_NE(global_batches(split, options, 1, 0), global_batches(split, options, 1, 1));
  EXPECT_NE(global_batches(split, options, 1, 0),
            global_batches(split, {.seed = 8, .global_batch = 10}, 1, 0));
}

TEST(Loader, EvaluationGivesEverySampleOnceInOrder) {
  const Split split = made_split(23);
  Labels all;
  for (const Labels& batch : global_batches(split, {.global_batch = 10, .shuffle = false}, 4, 0)) {
    all.insert(all.end(), batch.begin(), batch.end());
  }
  Labels expected(23);
  std::iota(expected.begin(), expected.end(), 3);
  EXPECT_EQ(all, expected);
}

TEST(Loader, ResumesWithinAnEpoch) {
  const LoaderOptions options{.seed = 7, .global_batch = 8, .prefetch = 3};
  Loader loader(made_split(100), options);
  const auto whole = batches_of(loader, 4);
  ASSERT_EQ(whole.size(), 12U);
  for (const std::int64_t step : {0, 1, 5, 11, 12}) {
    EXPECT_EQ(batches_of(loader, 4, step), std::vector<Labels>(whole.begin() + step, whole.end()));
  }
}

TEST(Loader, AnEpochMayBeLeftAtAnyStep) {
  Loader loader(made_split(100), {.seed = 7, .global_batch = 8});
  const auto expected = batches_of(loader, 1);
  for (int taken = 0; taken < 5; ++taken) {
    loader.start_epoch(0);
    for (int i = 0; i < taken; ++i) {
      ASSERT_NE(loader.next(), nullptr);
    }
    EXPECT_EQ(batches_of(loader, 1), expected);
  }
}

TEST(Loader, ReusesItsBuffers) {
  Loader loader(made_split(64), {.global_batch = 4, .prefetch = 2});
  std::set<const float*> buffers;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    loader.start_epoch(epoch);
    while (const Batch* batch = loader.next()) {
      buffers.insert(batch->inputs.data());
    }
  }
  EXPECT_LE(buffers.size(), 3U);
}

TEST(Loader, ASplitSmallerThanTheBatchIsOneBatch) {
  Loader loader(made_split(5), {.global_batch = 256});
  EXPECT_EQ(loader.steps_per_epoch(), 1);
  EXPECT_EQ(loader.batch_capacity(), 5);
  EXPECT_EQ(batches_of(loader, 0).at(0).size(), 5U);
}

TEST(Loader, AnEmptySplitHasNoBatches) {
  Loader loader(made_split(0), {.shuffle = false});
  EXPECT_EQ(loader.steps_per_epoch(), 0);
  EXPECT_TRUE(batches_of(loader, 0).empty());
}

TEST(Loader, NormalisesBytesPerChannelAndTargetsPerColumn) {
  Dataset dataset;
  dataset.task = Task::regression;
  dataset.sample_shape = {2, 1, 2};
  dataset.count = 1;
  dataset.inputs = std::vector<std::uint8_t>{0, 255, 10, 20};
  dataset.target_names = {"t"};
  dataset.targets = {7};
  Split split;
  split.normalization = std::make_shared<const Normalization>(
      Normalization{.shift = {0, 10}, .scale = {1, 0.5}, .target_shift = {5}, .target_scale = {2}});
  split.dataset = std::make_shared<const Dataset>(std::move(dataset));
  split.samples = {0};
  Loader loader(split, {});
  loader.start_epoch(0);
  const Batch* batch = loader.next();
  ASSERT_NE(batch, nullptr);
  EXPECT_THAT(batch->inputs, testing::ElementsAre(0, 255, 0, 5));
  EXPECT_THAT(batch->targets, testing::ElementsAre(4));
  EXPECT_THAT(batch->labels, testing::IsEmpty());
}

TEST(LoaderDeathTest, NextBeforeTheFirstEpochIsABug) {
  EXPECT_DEATH({ Loader(made_split(5), {}).next(); }, "start_epoch comes first");
}

}  // namespace
}  // namespace regatta
