// The course of a step; the work stands in the programs' operations, the trials' state in the lanes.
#include "models/cpu/engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/trace.h"
#include "models/cpu/aligned_memory.h"
#include "models/cpu/lane_groups.h"
#include "models/cpu/lanes.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

class CpuEngine final : public Engine {
 public:
  CpuEngine(const ModelConfig& config, const EngineOptions& options);

  void start_lane(int lane, const LaneSettings& settings) override { lanes_.start(lane, settings); }
  LaneState save_lane(int lane) const override { return lanes_.save(lane); }
  Status restore_lane(int lane, const LaneState& state) override { return lanes_.restore(lane, state); }
  void select_lanes(std::span<const int> lanes) override { lanes_.select(lanes); }
  Status train(const BatchView& batch, const TrainStep& step) override;
  Status evaluate(const BatchView& batch, std::span<MetricSums> sums) override;
  Status finish() override { return {}; }
  std::span<const float> gradients() const override { return lanes_.gradients(); }

 private:
  std::unique_ptr<LaneGroups> make_groups(Phase phase, std::int64_t rows) const;
  Step make_step(const LaneGroups& groups, const BatchView& batch, std::span<MetricSums> sums);
  void check_batch(const BatchView& batch, std::int64_t capacity) const;
  Status train_step(const BatchView& batch, const TrainStep& step);

  ModelConfig config_;
  EngineOptions options_;
  Lanes lanes_;
  dnnl::engine device_;
  dnnl::stream stream_;
  std::unique_ptr<LaneGroups> training_;    // none without training rows
  std::unique_ptr<LaneGroups> evaluation_;  // none without evaluation rows
  AlignedMemory arena_;                     // of both
  AlignedMemory padded_inputs_;             // a batch that is not full, with zero rows behind it
};

// A thread for each group of lanes, or all threads for all lanes. Ranks that exchange what single operations
// compute do so in one order: there is one group.
int groups_of(const EngineOptions& options) {
  const bool is_alone = options.global_batch == options.batch_capacity && options.gradients.empty();
  return is_alone && options.lanes >= options.threads ? options.threads : 1;
}

CpuEngine::CpuEngine(const ModelConfig& config, const EngineOptions& options)
    : config_(config),
      options_(options),
      lanes_(config_.network, options),
      device_(dnnl::engine::kind::cpu, 0),
      stream_(device_) {
  CHECK(options.lanes >= 1 && options.threads >= 1 && options.global_batch >= options.batch_capacity);
  CHECK(options.classification == (config.train.loss == Loss::cross_entropy));
  const ThreadCount threads(options.threads / groups_of(options));
  training_ = make_groups(Phase::train, options.batch_capacity);
  evaluation_ = make_groups(Phase::evaluate, options.evaluation_capacity);
  arena_ = AlignedMemory(
      std::max(training_ ? training_->arena_bytes() : 0, evaluation_ ? evaluation_->arena_bytes() : 0));
  for (LaneGroups* groups : {training_.get(), evaluation_.get()}) {
    if (groups != nullptr) {
      groups->bind(arena_.data());
    }
  }
  const std::int64_t rows = std::max(options.batch_capacity, options.evaluation_capacity);
  padded_inputs_ =
      AlignedMemory(static_cast<std::size_t>(rows * element_count(config.network.input)) * sizeof(float));
}

std::unique_ptr<LaneGroups> CpuEngine::make_groups(Phase phase, std::int64_t rows) const {
  if (rows == 0) {
    return nullptr;
  }
  const LaneGroupOptions options{
      .rows = rows, .global_batch = options_.global_batch, .groups = groups_of(options_)};
  return std::make_unique<LaneGroups>(device_, phase, lanes_.memory(), config_, options);
}

void CpuEngine::check_batch(const BatchView& batch, std::int64_t capacity) const {
  CHECK(batch.count >= 0 && batch.count <= capacity);
  const auto rows = static_cast<std::size_t>(batch.count);
  CHECK(batch.inputs.size() >= rows * static_cast<std::size_t>(element_count(config_.network.input)));
  const Shape& output = config_.network.output;
  const std::size_t labels = rows * static_cast<std::size_t>(is_sequence(output) ? output.front() : 1);
  CHECK(options_.classification
            ? batch.labels.size() >= labels
            : batch.targets.size() >= rows * static_cast<std::size_t>(element_count(config_.network.output)));
  CHECK(batch.other_labels.empty() || batch.other_labels.size() >= labels);
  CHECK(batch.label_shares.empty() == batch.other_labels.empty());
}

// Inputs of a batch that is not full are copied, so that stale rows of the caller's memory are not computed
// with.
Step CpuEngine::make_step(const LaneGroups& groups, const BatchView& batch, std::span<MetricSums> sums) {
  check_batch(batch, groups.rows());
  CHECK(sums.size() == static_cast<std::size_t>(lanes_.count()));
  Step step{
      .stream = stream_, .threads = options_.threads, .batch = batch, .lanes = lanes_.runs(), .sums = sums};
  const std::int64_t sample = element_count(config_.network.input);
  const auto needed = static_cast<std::size_t>(groups.rows() * sample);
  if (batch.count < groups.rows()) {
    const std::int64_t used = batch.count * sample;
    float* const padded = padded_inputs_.floats();
    std::copy_n(batch.inputs.data(), used, padded);
    std::fill(padded + used, padded + needed, 0.0F);
    step.batch.inputs = {padded, needed};
  }
  return step;
}

Status CpuEngine::train(const BatchView& batch, const TrainStep& step) {
  CHECK(training_ != nullptr, "the engine was made without training rows");
  const ThreadCount threads(options_.threads);
  try {
    return train_step(batch, step);
  } catch (const dnnl::error& error) {
    return failure(fmt::format("oneDNN could not run a training step: {}", error.what()));
  }
}

Status CpuEngine::train_step(const BatchView& batch, const TrainStep& step) {
  Step run = make_step(*training_, batch, step.sums);
  run.exchange = step.exchange;
  {
    const TraceSpan span("forward");
    RETURN_IF_ERROR(training_->forward(run));
  }
  // A clipped update must know the whole gradient first.
  const std::optional<double> clip = config_.train.gradient_clip;
  lanes_.plan_update(step.epoch);
  const bool taken = step.exchange != nullptr && !clip && step.exchange->take(lanes_);
  {
    const TraceSpan span("backward");
    RETURN_IF_ERROR(training_->backward(run));
  }
  if (step.exchange != nullptr) {
    const TraceSpan span("exchange");
    RETURN_IF_ERROR(step.exchange->finish());
  }
  if (taken) {
    RETURN_IF_ERROR(step.exchange->sum(lanes_.broken()));
  } else {
    const TraceSpan span("optimizer");
    lanes_.update_all(clip, options_.threads);
  }
  lanes_.end_update(options_.threads);
  return {};
}

Status CpuEngine::evaluate(const BatchView& batch, std::span<MetricSums> sums) {
  CHECK(evaluation_ != nullptr, "the engine was made without evaluation rows");
  const ThreadCount threads(options_.threads);
  try {
    return evaluation_->forward(make_step(*evaluation_, batch, sums));
  } catch (const dnnl::error& error) {
    return failure(fmt::format("oneDNN could not evaluate: {}", error.what()));
  }
}

// oneDNN would compute without, many times slower.
bool multiplies_bf16() {
  constexpr auto kNeeded = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kNeeded) == kNeeded;
}

}  // namespace

Result<std::unique_ptr<Engine>> make_cpu_engine(const ModelConfig& config, const EngineOptions& options) {
  if (config.train.precision == Precision::bf16 && !multiplies_bf16()) {
    return failure(
        "this processor has no bf16 arithmetic (avx512_bf16); write `precision: fp32` under train:");
  }
  try {
    return std::unique_ptr<Engine>(std::make_unique<CpuEngine>(config, options));
  } catch (const dnnl::error& error) {
    return failure(fmt::format("oneDNN cannot run this network: {}", error.what()));
  } catch (const std::bad_alloc&) {
    return failure(
        fmt::format("there is not enough memory for {} lanes of {} parameters at {} rows; lower "
                    "resources.lanes or train.batch_size",
                    options.lanes, config.network.parameter_count,
                    std::max(options.batch_capacity, options.evaluation_capacity)));
  }
}

}  // namespace regatta
