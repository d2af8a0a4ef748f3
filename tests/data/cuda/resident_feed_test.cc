// Batches that the device makes of data it keeps, against the Loader's. On the emulated device in
// data_cuda_emulated_test, on a real one in data_cuda_device_test.
#include "data/cuda/resident_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "cuda/device.h"
#include "data/cuda/made_splits.h"
#include "experiment/node.h"
#include "models/cuda/engine.h"
#include "models/cuda/step_ring.h"
#include "models/model.h"

namespace regatta {
namespace {

using cuda::DeviceMemory;
using cuda::InputLayout;
using cuda::ResidentPart;

constexpr std::int64_t kSamples = 43;
constexpr std::int64_t kGlobalBatch = 8;
constexpr std::int64_t kEpochs = 2;
// What a card's own logarithms may change; where nothing is mixed the bits are the same.
constexpr float kMixupTolerance = 1e-5F;

void require(const Status& status) { CHECK(status.ok(), status.ok() ? "" : status.error().message); }

template <class Value>
Value made(Result<Value> result) {
  CHECK(result.ok(), result.ok() ? "" : result.error().message);
  return std::move(result).value();
}

template <class Value>
std::vector<Value> read(const DeviceMemory& memory) {
  std::vector<Value> values(memory.size() / sizeof(Value));
  require(cuda::check(cudaMemcpy(values.data(), memory.data(), memory.size(), cudaMemcpyDeviceToHost),
                      "reading"));
  return values;
}

// A feed, recorded once as an engine would, and what it fills: some rows more than it ever uses.
class RecordedFeed {
 public:
  RecordedFeed(cuda::ResidentDatasets& datasets, const std::vector<ResidentPart>& parts,
               const Dataset& dataset, std::int64_t rows, const InputLayout& layout = {})
      : feed_(made(cuda::make_resident_feed(datasets, parts))),
        stream_(made(cuda::Stream::create())),
        ring_(made(cuda::StepRing::create(/*lanes=*/1, /*dropouts=*/0))),
        inputs(made(DeviceMemory::allocate(
            static_cast<std::size_t>(rows * dataset.sample_size() * bytes_of(layout.type)), "a test"))),
        labels(memory<std::int32_t>(dataset.labels.empty() ? 0 : rows * dataset.positions)),
        targets(memory<float>(rows * static_cast<std::int64_t>(dataset.target_names.size()))),
        other_labels(memory<std::int32_t>(dataset.labels.empty() ? 0 : rows * dataset.positions)),
        label_shares(memory<float>(rows)) {
    graph_ = made(cuda::Graph::capture(stream_, [&] {
      return feed_->enqueue({.inputs = inputs.data(),
                             .layout = layout,
                             .labels = labels.as<std::int32_t>(),
                             .targets = targets.as<float>(),
                             .other_labels = other_labels.as<std::int32_t>(),
                             .label_shares = label_shares.as<float>()},
                            rows, ring_.start(), stream_.get());
    }));
  }

  void make(const BatchView& batch) {
    for (const DeviceMemory* values : {&inputs, &labels, &targets, &other_labels, &label_shares}) {
      require(cuda::check(cudaMemset(values->data(), 0xff, values->size()), "spoiling what is there"));
    }
    *made(ring_.next()).batch = {
        .count = batch.count, .epoch = batch.epoch, .step = batch.step, .part = batch.part};
    require(cuda::check(cudaDeviceSynchronize(), "spoiling what is there"));
    require(feed_->stage(batch, stream_.get()));
    require(graph_.launch(stream_));
    require(ring_.enqueued(stream_.get()));
    require(feed_->enqueued(stream_.get()));
    require(cuda::check(cudaStreamSynchronize(stream_.get()), "making a batch"));
  }

  bool is_mixed(const BatchView& batch) const { return feed_->is_mixed(batch); }

 private:
  template <class Value>
  static DeviceMemory memory(std::int64_t count) {
    return made(DeviceMemory::allocate(static_cast<std::size_t>(count) * sizeof(Value), "a test"));
  }

  std::unique_ptr<cuda::BatchFeed> feed_;
  cuda::Stream stream_;
  cuda::StepRing ring_;
  cuda::Graph graph_;

 public:
  const DeviceMemory inputs;
  const DeviceMemory labels;
  const DeviceMemory targets;
  const DeviceMemory other_labels;
  const DeviceMemory label_shares;
};

// The host's rows in use, then zeros.
template <class Value>
void expect_rows(const DeviceMemory& computed, std::span<const Value> host, std::int64_t count,
                 std::int64_t size, float tolerance, const char* what) {
  const auto values = read<Value>(computed);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Value expected = i < static_cast<std::size_t>(count * size) ? host[i] : Value{0};
    const bool is_same = values[i] == expected || std::abs(static_cast<float>(values[i] - expected)) <=
                                                      tolerance * std::abs(static_cast<float>(expected) + 1);
    ASSERT_TRUE(is_same) << what << " at " << i << ": " << values[i] << " instead of " << expected;
  }
}

void expect_batch(const RecordedFeed& feed, const Batch& batch, const Dataset& dataset, bool is_mixed) {
  const float tolerance = is_mixed ? kMixupTolerance : 0;
  const auto targets = static_cast<std::int64_t>(dataset.target_names.size());
  expect_rows<float>(feed.inputs, batch.inputs, batch.count, dataset.sample_size(), tolerance, "inputs");
  expect_rows<std::int32_t>(feed.labels, batch.labels, batch.count, dataset.positions, 0, "labels");
  expect_rows<float>(feed.targets, batch.targets, batch.count, targets, tolerance, "targets");
  if (is_mixed && !dataset.labels.empty()) {
    expect_rows<std::int32_t>(feed.other_labels, batch.other_labels, batch.count, dataset.positions, 0,
                              "other labels");
    expect_rows<float>(feed.label_shares, batch.label_shares, batch.count, 1, tolerance, "label shares");
  }
}

// All epochs of one rank's part.
void expect_epochs(RecordedFeed& feed, const ResidentPart& part, int number) {
  Loader loader(part.split, part.options);
  const bool is_mixed = part.options.augmentation.mixup > 0;
  for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    loader.start_epoch(epoch);
    for (std::int64_t step = 0; const Batch* batch = loader.next(); ++step) {
      const BatchView view{.count = batch->count, .epoch = epoch, .step = step, .part = number};
      feed.make(view);
      EXPECT_EQ(feed.is_mixed(view), is_mixed && part.split.dataset->task == Task::classification);
      SCOPED_TRACE(testing::Message() << "part " << number << ", epoch " << epoch << ", step " << step);
      expect_batch(feed, *batch, *part.split.dataset, is_mixed);
      if (testing::Test::HasFatalFailure()) {
        return;
      }
    }
  }
}

struct FeedCase {
  std::string name;
  Kind kind;
  bool shuffle;
  Augmentation augmentation;
};
void PrintTo(const FeedCase& feed_case, std::ostream* stream) { *stream << feed_case.name; }

std::vector<FeedCase> cases() {
  const std::vector<std::pair<std::string, Kind>> kinds = {{"ByteImages", Kind::byte_images},
                                                           {"Table", Kind::table},
                                                           {"ByteText", Kind::byte_text},
                                                           {"FloatText", Kind::float_text},
                                                           {"TableRegression", Kind::table_regression},
                                                           {"ImageRegression", Kind::image_regression}};
  const std::vector<std::pair<std::string, Augmentation>> changes = {
      {"FlippedHorizontally", {.flip_horizontally = true}},
      {"FlippedVertically", {.flip_vertically = true}},
      {"Cropped", {.crop_padding = 3}},
      {"CutOut", {.cutout = 4}},
      {"Mixed", {.mixup = 0.2}},
      {"ChangedAllWays",
       {.flip_horizontally = true, .flip_vertically = true, .crop_padding = 2, .cutout = 3, .mixup = 1}}};
  std::vector<FeedCase> all;
  for (const auto& [name, kind] : kinds) {
    all.push_back({name + "Shuffled", kind, true, {}});
    all.push_back({name + "InOrder", kind, false, {}});
    for (const auto& [change, augmentation] : changes) {
      const bool is_image = made_shape(kind).size() == 3;
      if (is_image || !augmentation.changes_images()) {
        all.push_back({name + "Shuffled" + change, kind, true, augmentation});
      }
      if (is_image && augmentation.mixup == 0) {
        all.push_back({name + "InOrder" + change, kind, false, augmentation});
      }
    }
  }
  return all;
}

class ResidentFeed : public testing::TestWithParam<FeedCase> {
 protected:
  void SetUp() override { REGATTA_NEEDS_CUDA_DEVICE(); }
};

TEST_P(ResidentFeed, MakesTheLoadersBatchesForEachRank) {
  const Split split = made_split(GetParam().kind, kSamples);
  cuda::ResidentDatasets datasets;
  for (const int ranks : {1, 3}) {
    for (int rank = 0; rank < ranks; ++rank) {
      const ResidentPart part{.split = split,
                              .options = {.seed = 7,
                                          .global_batch = kGlobalBatch,
                                          .rank = rank,
                                          .ranks = ranks,
                                          .shuffle = GetParam().shuffle,
                                          .augmentation = GetParam().augmentation}};
      SCOPED_TRACE(testing::Message() << "rank " << rank << " of " << ranks);
      RecordedFeed feed(datasets, {part}, *split.dataset, kGlobalBatch + 2);
      expect_epochs(feed, part, 0);
      if (HasFatalFailure()) {
        return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllData, ResidentFeed, testing::ValuesIn(cases()),
                         [](const auto& parameters) { return parameters.param.name; });

class ResidentData : public testing::Test {
 protected:
  void SetUp() override { REGATTA_NEEDS_CUDA_DEVICE(); }
};

float as_float(std::uint16_t bf16) { return std::bit_cast<float>(static_cast<std::uint32_t>(bf16) << 16); }

// To nearest even.
float rounded(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000U);
}

TEST_F(ResidentData, AnImageStandsAsItsNetworkReadsIt) {
  const Split split = made_split(Kind::byte_images, kSamples);
  const Shape& shape = split.dataset->sample_shape;
  const InputLayout channels_last{.positions = static_cast<std::uint32_t>(shape[1] * shape[2]),
                                  .channels = static_cast<std::uint32_t>(shape[0])};
  ASSERT_GT(channels_last.channels, 1U);
  InputLayout in_bf16 = channels_last;
  in_bf16.type = ElementType::bf16;
  const ResidentPart part{.split = split, .options = {.global_batch = kGlobalBatch}};
  cuda::ResidentDatasets datasets;
  RecordedFeed as_host_has_it(datasets, {part}, *split.dataset, kGlobalBatch);
  RecordedFeed turned(datasets, {part}, *split.dataset, kGlobalBatch, channels_last);
  RecordedFeed turned_in_bf16(datasets, {part}, *split.dataset, kGlobalBatch, in_bf16);
  for (RecordedFeed* feed : {&as_host_has_it, &turned, &turned_in_bf16}) {
    feed->make({.count = kGlobalBatch - 1});
  }
  const auto host = read<float>(as_host_has_it.inputs);
  const auto floats = read<float>(turned.inputs);
  const auto words = read<std::uint16_t>(turned_in_bf16.inputs);
  const std::size_t size = channels_last.positions * channels_last.channels;
  ASSERT_EQ(floats.size(), host.size());
  ASSERT_EQ(words.size(), host.size());
  for (std::size_t i = 0; i < host.size(); ++i) {
    const std::size_t place = i % size;
    const std::size_t position = place / channels_last.channels;
    const std::size_t channel = place % channels_last.channels;
    const float expected = host[i - place + channel * channels_last.positions + position];
    ASSERT_EQ(floats[i], expected) << i;
    ASSERT_EQ(as_float(words[i]), rounded(expected)) << i;
  }
}

// Test data may come from files of their own, and there may be no validation data.
TEST_F(ResidentData, OneFeedServesSeveralParts) {
  const LoaderOptions options{.global_batch = kGlobalBatch, .shuffle = false};
  Split validation = made_split(Kind::byte_images, 11);
  const Split test = made_split(Kind::byte_images, 5, /*seed=*/4);
  cuda::ResidentDatasets datasets;
  const std::vector<ResidentPart> both = {{validation, options}, {test, options}};
  RecordedFeed feed(datasets, both, *test.dataset, kGlobalBatch);
  expect_epochs(feed, both[0], 0);
  expect_epochs(feed, both[1], 1);

  validation.samples.clear();
  const std::vector<ResidentPart> only_test = {{validation, options}, {test, options}};
  RecordedFeed second(datasets, only_test, *test.dataset, kGlobalBatch);
  second.make({});  // as an engine's first run has it
  EXPECT_THAT(read<float>(second.inputs), testing::Each(0.0F));
  expect_epochs(second, only_test[1], 1);
}

// 512 blocks of 16 rows each, and some of them make 16 more.
TEST_F(ResidentData, BlocksMakeMoreRowsThanTheyHavePlacesFor) {
  constexpr std::int64_t kRows = 8300;
  cuda::ResidentDatasets datasets;
  const ResidentPart part{.split = made_split(Kind::table, kRows),
                          .options = {.seed = 5, .global_batch = kRows}};
  RecordedFeed feed(datasets, {part}, *part.split.dataset, kRows + 40);
  expect_epochs(feed, part, 0);
}

// The permutation is one of the next even power of two, walked until it falls into the split.
TEST_F(ResidentData, AreShuffledAlikeWhateverTheirNumber) {
  cuda::ResidentDatasets datasets;
  for (const std::int64_t count : {1, 2, 3, 16, 17, 63, 64, 65, 300}) {
    SCOPED_TRACE(testing::Message() << count << " samples");
    const ResidentPart part{
        .split = made_split(Kind::table, count),
        .options = {
            .seed = static_cast<std::uint64_t>(count), .global_batch = 100, .augmentation = {.mixup = 1}}};
    RecordedFeed feed(datasets, {part}, *part.split.dataset, 100);
    expect_epochs(feed, part, 0);
  }
}

TEST_F(ResidentData, StandOnceHoweverManyFeedsUseThem) {
  Split train = made_split(Kind::byte_images, 40);
  Split validation = train;
  validation.samples = {1, 5};
  cuda::ResidentDatasets datasets;
  const auto first = made(datasets.find_or_copy(train.dataset));
  EXPECT_EQ(made(datasets.find_or_copy(validation.dataset)), first);
  const Split other = made_split(Kind::table, 10);
  EXPECT_NE(made(datasets.find_or_copy(other.dataset)), first);

  const std::weak_ptr<const cuda::ResidentDataset> watched = first;
  EXPECT_EQ(first.use_count(), 2);
  train = {};
  validation = {};
  static_cast<void>(made(datasets.find_or_copy(other.dataset)));
  EXPECT_EQ(first.use_count(), 1) << "what the host has no more is dropped";
}

TEST_F(ResidentData, TheMemoryTheyTakeIsToldBefore) {
  const Split train = made_split(Kind::byte_images, 40);
  Split validation = train;
  validation.samples.resize(8);
  const std::size_t dataset = cuda::ResidentDataset::bytes_of(*train.dataset);
  EXPECT_EQ(dataset, static_cast<std::size_t>(train.dataset->count) * (2 * 5 * 7 + sizeof(std::int32_t)));
  const std::vector<ResidentPart> one = {{train, {}}};
  const std::vector<ResidentPart> both = {{train, {}}, {validation, {}}};
  EXPECT_GE(cuda::resident_bytes(one), dataset + 40 * sizeof(std::int64_t));
  EXPECT_GT(cuda::resident_bytes(both), cuda::resident_bytes(one));
  EXPECT_LT(cuda::resident_bytes(both), cuda::resident_bytes(one) + dataset);
}

// Trains for two epochs and measures on all data in order.
struct Trained {
  LaneState state;
  std::vector<std::pair<std::string, double>> training;
  std::vector<std::pair<std::string, double>> measured;
};
Trained train(const ModelConfig& config, const Split& split, bool is_resident) {
  const LoaderOptions training{
      .seed = 7, .global_batch = kGlobalBatch, .augmentation = {.cutout = 2, .mixup = 0.4}};
  const LoaderOptions evaluation{.global_batch = kGlobalBatch, .shuffle = false};
  cuda::ResidentDatasets datasets;
  cuda::CudaEngineOptions device;
  if (is_resident) {
    device.training_feed =
        made(cuda::make_resident_feed(datasets, std::array{ResidentPart{split, training}}));
    device.evaluation_feed =
        made(cuda::make_resident_feed(datasets, std::array{ResidentPart{split, evaluation}}));
  }
  const auto engine = made(cuda::make_cuda_engine(
      config,
      {.batch_capacity = kGlobalBatch, .global_batch = kGlobalBatch, .evaluation_capacity = kGlobalBatch},
      std::move(device)));
  engine->start_lane(0, lane_settings(config, 1));
  const auto run = [&](const LoaderOptions& options, std::int64_t epochs, const auto& take) {
    Loader loader(split, options);
    std::vector<MetricSums> sums{MetricSums::classification(5)};
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
      loader.start_epoch(epoch);
      for (std::int64_t step = 0; const Batch* batch = loader.next(); ++step) {
        BatchView view{.count = batch->count, .epoch = epoch, .step = step};
        if (!is_resident) {
          view.inputs = batch->inputs;
          view.labels = batch->labels;
          view.other_labels = batch->other_labels;
          view.label_shares = batch->label_shares;
        }
        require(take(view, sums));
      }
    }
    require(engine->finish());
    return sums.front().result();
  };
  Trained trained;
  trained.training = run(training, kEpochs, [&](const BatchView& view, std::span<MetricSums> sums) {
    return engine->train(view, {.sums = sums});
  });
  trained.measured = run(evaluation, 1, [&](const BatchView& view, std::span<MetricSums> sums) {
    return engine->evaluate(view, sums);
  });
  trained.state = engine->save_lane(0);
  return trained;
}

TEST_F(ResidentData, TrainAnEngineAsTheHostsBatchesDo) {
  const Split split = made_split(Kind::byte_images, kSamples);
  const ModelConfig config =
      made(read_model(made(parse_yaml("layers: [flatten, {dense: 6}, relu, {dense: 5}]", "exp.yaml")),
                      made(parse_yaml("optimizer: {type: sgd, lr: 0.1, momentum: 0.9}", "exp.yaml")),
                      {.sample_shape = made_shape(Kind::byte_images), .outputs = 5, .max_epochs = 10}));
  const Trained expected = train(config, split, false);
  const Trained computed = train(config, split, true);
  for (const auto& [computed_metrics, expected_metrics] :
       {std::pair(&computed.training, &expected.training),
        std::pair(&computed.measured, &expected.measured)}) {
    ASSERT_EQ(computed_metrics->size(), expected_metrics->size());
    for (std::size_t i = 0; i < expected_metrics->size(); ++i) {
      EXPECT_NEAR((*computed_metrics)[i].second, (*expected_metrics)[i].second, 1e-3)
          << (*expected_metrics)[i].first;
    }
  }
  ASSERT_EQ(computed.state.tensors.size(), expected.state.tensors.size());
  for (std::size_t i = 0; i < expected.state.tensors.size(); ++i) {
    EXPECT_THAT(computed.state.tensors[i].values,
                testing::Pointwise(testing::FloatNear(1e-4F), expected.state.tensors[i].values))
        << expected.state.tensors[i].name;
  }
}

}  // namespace
}  // namespace regatta
