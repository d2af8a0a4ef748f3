// The training engine's interface: one planned network, L lanes, one device. Everything is allocated when the
// engine is made; a step allocates nothing. Backends: models/cpu (reference), models/cuda.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/metrics.h"
#include "models/model.h"

namespace regatta {

// Up to `capacity` samples of this rank; rows from `count` on are ignored. inputs: [capacity, sample...],
// shared by all lanes.
struct BatchView {
  std::span<const float> inputs;
  std::span<const std::int32_t> labels;  // classification: [capacity], or [capacity, positions] of sequences
  std::span<const float> targets;        // regression: [capacity, targets]
  // Where two samples were mixed into each row: the other one's label, and the part of `labels`. Both are
  // empty where nothing was mixed.
  std::span<const std::int32_t> other_labels;
  std::span<const float> label_shares;
  std::int64_t count = 0;
  std::int64_t first_sample = 0;  // this rank's first row within the global batch: with it dropout's random
                                  // numbers do not depend on the number of ranks
  // Which batch it is. Where an engine makes batches itself of data that it keeps, this and the count are all
  // it is told.
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  int part = 0;  // of the data kept: 0 training; of evaluation 0 validation, 1 test
};

// What may differ between the lanes of an engine; shapes, loss and batch size are alike.
struct LaneSettings {
  std::uint64_t seed = 0;  // initial weights and dropout
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  std::vector<double> dropout_rates;  // one a Dropout layer, in the order of the file
};
// The lane's part of a model's configuration.
LaneSettings lane_settings(const ModelConfig& config, std::uint64_t seed);

struct NamedTensor {
  std::string
      name;  // parameters: "conv1.weight"; optimizer: "optimizer.momentum.conv1.weight"; buffers by name
  Shape shape;
  std::vector<float> values;
};
// All of a lane that training changes: parameters, buffers, optimizer state.
struct LaneState {
  std::vector<NamedTensor> tensors;
  std::int64_t steps = 0;  // optimizer steps taken, for Adam's bias correction
};

// Moves a step's weights by gradients that are the sum over the ranks.
class WeightUpdate {
 public:
  virtual ~WeightUpdate() = default;
  // For the weights in [begin, end) of the flat buffers. Each float once a step; threads may call it for
  // different ranges at a time, also while backward works on what is not final yet.
  virtual void apply(std::size_t begin, std::size_t end) = 0;
};

// How the ranks of a crew act as one. A crew of one rank passes none.
class GradientExchange {
 public:
  virtual ~GradientExchange() = default;
  // Before a step's first ready(): offers the update, which the exchange may take. Then it applies it to this
  // rank's share of the floats as soon as they are summed; when finish() returns, all weights are those of
  // the crew, but gradients and moments only where they are this rank's share. If it does not, finish()
  // leaves the whole sum and the engine moves the weights.
  virtual bool take(WeightUpdate& update) {
    (void)update;
    return false;
  }
  // The first `floats` of the flat gradient buffer are final on this rank. Called in rising order during
  // backward.
  virtual Status ready(std::size_t floats) = 0;
  // The whole buffer is final; on return it holds the sum over the ranks.
  virtual Status finish() = 0;
  // Sums small values over the ranks at once: batch statistics.
  virtual Status sum(std::span<float> values) = 0;
};

struct EngineOptions {
  std::int64_t batch_capacity = 0;  // rows of this rank's training batches
  std::int64_t global_batch = 0;    // rows over all ranks: gradients are means over these
  std::int64_t evaluation_capacity = 0;
  int lanes = 1;
  int threads = 1;
  bool classification = true;
  std::vector<float> target_scale;  // regression: see MetricSums
  // Memory for flat buffers, lanes * network.parameter_count floats each, zero at first, for example windows
  // that the ranks share. Empty: the engine's own.
  std::span<float> gradients;
  std::span<float> weights;
  std::span<float> first_moments;
  std::span<float> second_moments;  // of Adam
  // Where the ranks each hold a share of the moments: brings them together on this rank.
  std::function<void()> collect_moments;
};

struct TrainStep {
  double epoch = 0;  // epochs trained before this step, with fractions: the schedule's position
  GradientExchange* exchange = nullptr;
  std::span<MetricSums> sums;  // one a lane: loss and metrics of this rank's samples before the update
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Puts a fresh trial into a lane: weights from its seed, optimizer state zero.
  virtual void start_lane(int lane, const LaneSettings& settings) = 0;
  virtual LaneState save_lane(int lane) const = 0;
  // After start_lane: continues from a saved state. Names or shapes that do not fit are an error. Only the
  // optimizer may be another one (a trial that was told to change it): moments that it needs and the state
  // lacks start from zero, and so do its steps.
  virtual Status restore_lane(int lane, const LaneState& state) = 0;
  // Which of the started lanes train() and evaluate() serve from now on; what the others hold and their sums
  // are left as they are. start_lane() adds its lane.
  virtual void select_lanes(std::span<const int> lanes) = 0;

  // Forward, loss, backward, exchange, clip, update. All selected lanes take the step; a lane whose loss is
  // not finite is left with NaN weights and disturbs no other. A device may still be at work when this
  // returns, and may tell of an earlier step's failure.
  virtual Status train(const BatchView& batch, const TrainStep& step) = 0;
  // Forward only, with running statistics; adds to one MetricSums a lane.
  virtual Status evaluate(const BatchView& batch, std::span<MetricSums> sums) = 0;
  // Until all of this is done. What a device has not yet added to the sums of the calls before, which all
  // name the same ones from one finish() to the next, is in them then. (That a lane has diverged may show
  // earlier: its sums become NaN.)
  virtual Status finish() = 0;

  // Lanes * parameter_count floats: the mean over the global batch after train(), before clipping. Where an
  // exchange took the update, only this rank's share of it.
  virtual std::span<const float> gradients() const = 0;
};

}  // namespace regatta
