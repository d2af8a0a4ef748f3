// The lanes' life and the course of a step; the work itself stands in the programs' operations.
#include "models/cpu/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "models/cpu/aligned_memory.h"
#include "models/cpu/parallel.h"
#include "models/cpu/program.h"
#include "models/initializers.h"
#include "models/optimizer.h"

namespace regatta {
namespace {

struct Lane {
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  std::int64_t steps = 0;
};

// Optimizer state, as it is called in a saved lane: one of these before the parameter's name.
constexpr std::string_view kMomentum = "optimizer.momentum.";
constexpr std::string_view kFirstMoment = "optimizer.first_moment.";
constexpr std::string_view kSecondMoment = "optimizer.second_moment.";

bool is_moment(std::string_view name) {
  return name.starts_with(kMomentum) || name.starts_with(kFirstMoment) || name.starts_with(kSecondMoment);
}

using SavedTensors = std::map<std::string, const NamedTensor*, std::less<>>;

bool has_prefix(const SavedTensors& saved, std::string_view prefix) {
  const auto first = saved.lower_bound(prefix);
  return first != saved.end() && first->first.starts_with(prefix);
}

struct Moment {
  std::string_view prefix;
  float* values;
};

class CpuEngine final : public Engine {
 public:
  CpuEngine(const ModelConfig& config, const EngineOptions& options);

  void start_lane(int lane, const LaneSettings& settings) override;
  LaneState save_lane(int lane) const override;
  Status restore_lane(int lane, const LaneState& state) override;
  Status train(const BatchView& batch, const TrainStep& step) override;
  Status evaluate(const BatchView& batch, std::span<MetricSums> sums) override;
  std::span<const float> gradients() const override { return {memory_.gradients, parameter_floats_}; }

 private:
  struct Piece {  // of a lane's state: where it stands and how it is called
    std::string name;
    std::string_view moment;  // the kind of optimizer state, or empty
    const Shape* shape;
    float* values;
    std::size_t size;
  };
  static Result<const NamedTensor*> find_fitting(const SavedTensors& saved, const Piece& piece);
  std::vector<Piece> pieces(int lane) const;
  std::vector<Moment> moments(int lane) const;
  float* of_lane(float* flat, const ParameterSpec& parameter, int lane) const {
    return flat + memory_.lanes * parameter.offset + lane * parameter.size;
  }

  Step make_step(const Program& program, const BatchView& batch, std::span<MetricSums> sums);
  void check_batch(const BatchView& batch, std::int64_t capacity) const;
  Status train_step(const BatchView& batch, const TrainStep& step);
  void update(double epoch);
  void measure_gradients();
  void apply_updates();
  template <class Function>
  void for_segments(const Function& function) const;  // of active lanes

  ModelConfig config_;
  EngineOptions options_;
  std::size_t parameter_floats_;  // of all lanes
  AlignedMemory weights_;
  AlignedMemory own_gradients_;
  AlignedMemory first_moments_;
  AlignedMemory second_moments_;
  AlignedMemory buffers_;
  ParameterMemory memory_;
  std::vector<Lane> lanes_;
  std::vector<LaneRun> runs_;
  std::vector<OptimizerSegment> segments_;
  std::vector<LaneUpdate> updates_;  // one a lane
  // Of one step; one a segment, or one a lane.
  std::vector<double> segment_norms_;  // squared
  std::vector<double> squared_norms_;
  std::vector<char> segment_finite_;
  std::vector<char> finite_;
  dnnl::engine device_;
  dnnl::stream stream_;
  std::unique_ptr<Program> training_;    // none without training rows
  std::unique_ptr<Program> evaluation_;  // none without evaluation rows
  AlignedMemory arena_;                  // of both
  AlignedMemory padded_inputs_;          // a batch that is not full, with zero rows behind it
};

std::size_t floats_of(std::int64_t count) { return static_cast<std::size_t>(count) * sizeof(float); }

CpuEngine::CpuEngine(const ModelConfig& config, const EngineOptions& options)
    : config_(config),
      options_(options),
      parameter_floats_(static_cast<std::size_t>(options.lanes * config.network.parameter_count)),
      weights_(parameter_floats_ * sizeof(float)),
      own_gradients_(options.gradients.empty() ? parameter_floats_ * sizeof(float) : 0),
      first_moments_(parameter_floats_ * sizeof(float)),
      second_moments_(parameter_floats_ * sizeof(float)),
      buffers_(floats_of(options.lanes * config.network.buffer_count)),
      memory_{.network = &config_.network,
              .lanes = options.lanes,
              .weights = weights_.floats(),
              .gradients = options.gradients.empty() ? own_gradients_.floats() : options.gradients.data(),
              .buffers = buffers_.floats()},
      lanes_(static_cast<std::size_t>(options.lanes)),
      runs_(lanes_.size()),
      segments_(optimizer_segments(config_.network, options.lanes)),
      updates_(lanes_.size()),
      segment_norms_(segments_.size()),
      squared_norms_(lanes_.size()),
      segment_finite_(segments_.size(), 1),
      finite_(lanes_.size()),
      device_(dnnl::engine::kind::cpu, 0),
      stream_(device_) {
  CHECK(options.lanes >= 1 && options.threads >= 1 && options.global_batch >= options.batch_capacity);
  CHECK(options.gradients.empty() || options.gradients.size() == parameter_floats_);
  CHECK(options.classification == (config.train.loss == Loss::cross_entropy));
  std::fill_n(memory_.gradients, parameter_floats_, 0.0F);
  const ThreadCount threads(options.threads);
  const auto make_program = [&](Phase phase, std::int64_t rows) {
    return rows > 0 ? std::make_unique<Program>(device_, phase, rows, memory_, config_, options.global_batch)
                    : nullptr;
  };
  training_ = make_program(Phase::train, options.batch_capacity);
  evaluation_ = make_program(Phase::evaluate, options.evaluation_capacity);
  arena_ = AlignedMemory(
      std::max(training_ ? training_->arena_bytes() : 0, evaluation_ ? evaluation_->arena_bytes() : 0));
  for (Program* program : {training_.get(), evaluation_.get()}) {
    if (program != nullptr) {
      program->bind(arena_.data());
    }
  }
  padded_inputs_ = AlignedMemory(floats_of(std::max(options.batch_capacity, options.evaluation_capacity) *
                                           element_count(config.network.input)));
}

void CpuEngine::start_lane(int lane, const LaneSettings& settings) {
  const auto index = static_cast<std::size_t>(lane);
  lanes_.at(index) = {.optimizer = settings.optimizer, .schedule = settings.schedule};
  runs_[index] = {.active = true, .seed = settings.seed, .dropout_rates = settings.dropout_rates};
  for (const ParameterSpec& parameter : config_.network.parameters) {
    const auto size = static_cast<std::size_t>(parameter.size);
    initialize(parameter, settings.seed, {of_lane(memory_.weights, parameter, lane), size});
    std::fill_n(of_lane(first_moments_.floats(), parameter, lane), size, 0.0F);
    std::fill_n(of_lane(second_moments_.floats(), parameter, lane), size, 0.0F);
  }
  for (const BufferSpec& buffer : config_.network.buffers) {
    std::fill_n(memory_.buffer(buffer.name, lane), buffer.size, buffer.initial);
  }
}

std::vector<Moment> CpuEngine::moments(int lane) const {
  const OptimizerConfig& optimizer = lanes_.at(static_cast<std::size_t>(lane)).optimizer;
  if (optimizer.kind != OptimizerConfig::Kind::sgd) {
    return {{kFirstMoment, first_moments_.floats()}, {kSecondMoment, second_moments_.floats()}};
  }
  if (optimizer.momentum > 0) {
    return {{kMomentum, first_moments_.floats()}};
  }
  return {};
}

std::vector<CpuEngine::Piece> CpuEngine::pieces(int lane) const {
  std::vector<Piece> result;
  std::vector<Moment> kinds = {{"", memory_.weights}};
  const auto optimizer = moments(lane);
  kinds.insert(kinds.end(), optimizer.begin(), optimizer.end());
  for (const auto& [prefix, flat] : kinds) {
    for (const ParameterSpec& parameter : config_.network.parameters) {
      result.push_back({std::string(prefix) + parameter.name, prefix, &parameter.shape,
                        of_lane(flat, parameter, lane), static_cast<std::size_t>(parameter.size)});
    }
  }
  for (const BufferSpec& buffer : config_.network.buffers) {
    result.push_back({buffer.name, "", &buffer.shape, memory_.buffer(buffer.name, lane),
                      static_cast<std::size_t>(buffer.size)});
  }
  return result;
}

LaneState CpuEngine::save_lane(int lane) const {
  LaneState state{.tensors = {}, .steps = lanes_.at(static_cast<std::size_t>(lane)).steps};
  for (const Piece& piece : pieces(lane)) {
    state.tensors.push_back(
        {.name = piece.name, .shape = *piece.shape, .values = {piece.values, piece.values + piece.size}});
  }
  return state;
}

Status CpuEngine::restore_lane(int lane, const LaneState& state) {
  SavedTensors saved;
  for (const NamedTensor& tensor : state.tensors) {
    if (!saved.emplace(tensor.name, &tensor).second) {
      return failure(fmt::format("the saved state has '{}' twice", tensor.name));
    }
  }
  std::vector<std::pair<const NamedTensor*, float*>> copies;
  bool new_moments = false;  // the state was saved by an optimizer that does not keep what this one needs
  for (const Piece& piece : pieces(lane)) {
    if (!piece.moment.empty() && !has_prefix(saved, piece.moment)) {
      new_moments = true;
      continue;
    }
    ASSIGN_OR_RETURN(const NamedTensor* tensor, find_fitting(saved, piece));
    copies.emplace_back(tensor, piece.values);
    saved.erase(tensor->name);
  }
  for (const auto& [name, tensor] : saved) {
    if (!is_moment(name)) {
      return failure(fmt::format("the saved state has '{}', which this network has not", name));
    }
  }
  for (const auto& [tensor, values] : copies) {
    std::copy(tensor->values.begin(), tensor->values.end(), values);
  }
  lanes_[static_cast<std::size_t>(lane)].steps = new_moments ? 0 : state.steps;
  return {};
}

Result<const NamedTensor*> CpuEngine::find_fitting(const SavedTensors& saved, const Piece& piece) {
  const auto found = saved.find(piece.name);
  if (found == saved.end()) {
    return failure(fmt::format("the saved state has no '{}', which this network has", piece.name));
  }
  const NamedTensor& tensor = *found->second;
  if (tensor.shape != *piece.shape || tensor.values.size() != piece.size) {
    return failure(fmt::format("'{}' of the saved state is {} with {} values, but the network's is {}",
                               piece.name, describe(tensor.shape), tensor.values.size(),
                               describe(*piece.shape)));
  }
  return found->second;
}

void CpuEngine::check_batch(const BatchView& batch, std::int64_t capacity) const {
  CHECK(batch.count >= 0 && batch.count <= capacity);
  const auto rows = static_cast<std::size_t>(batch.count);
  CHECK(batch.inputs.size() >= rows * static_cast<std::size_t>(element_count(config_.network.input)));
  CHECK(options_.classification
            ? batch.labels.size() >= rows
            : batch.targets.size() >= rows * static_cast<std::size_t>(element_count(config_.network.output)));
}

// Inputs of a batch that is not full are copied, so that stale rows of the caller's memory are not computed
// with.
Step CpuEngine::make_step(const Program& program, const BatchView& batch, std::span<MetricSums> sums) {
  check_batch(batch, program.rows());
  CHECK(sums.size() == lanes_.size());
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    runs_[lane].step = lanes_[lane].steps;
  }
  Step step{.stream = stream_, .threads = options_.threads, .batch = batch, .lanes = runs_, .sums = sums};
  const std::int64_t sample = element_count(config_.network.input);
  const auto needed = static_cast<std::size_t>(program.rows() * sample);
  if (batch.count < program.rows()) {
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
  RETURN_IF_ERROR(training_->forward(run));
  RETURN_IF_ERROR(training_->backward(run));
  if (step.exchange != nullptr) {
    RETURN_IF_ERROR(step.exchange->finish());
  }
  update(step.epoch);
  return {};
}

template <class Function>
void CpuEngine::for_segments(const Function& function) const {
  parallel_for(static_cast<std::int64_t>(segments_.size()), options_.threads, [&](std::int64_t i) {
    const OptimizerSegment& segment = segments_[static_cast<std::size_t>(i)];
    if (runs_[static_cast<std::size_t>(segment.lane)].active) {
      function(static_cast<std::size_t>(i), segment);
    }
  });
}

// Clips each lane's gradient, then moves its weights. The summed gradients are alike on all ranks, so the
// ranks' weights stay alike.
void CpuEngine::update(double epoch) {
  if (config_.train.gradient_clip) {
    measure_gradients();
  }
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    if (!runs_[lane].active) {
      continue;
    }
    Lane& state = lanes_[lane];
    ++state.steps;
    updates_[lane] = plan_update(state.optimizer, schedule_factor(state.schedule, epoch), state.steps);
    if (config_.train.gradient_clip) {
      updates_[lane].gradient_scale =
          static_cast<float>(clip_factor(squared_norms_[lane], *config_.train.gradient_clip));
    }
  }
  apply_updates();
}

// The squared length of each lane's gradient, summed in a fixed order.
void CpuEngine::measure_gradients() {
  for_segments([&](std::size_t i, const OptimizerSegment& segment) {
    segment_norms_[i] = squared_norm(memory_.gradients + segment.offset, segment.size);
  });
  std::fill(squared_norms_.begin(), squared_norms_.end(), 0.0);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    squared_norms_[static_cast<std::size_t>(segments_[i].lane)] += segment_norms_[i];
  }
}

// A lane with a weight that is not finite gets no other: half a diverged network could pass for one that
// trains, because relu turns NaN into zero.
void CpuEngine::apply_updates() {
  const OptimizerMemory memory{.weights = memory_.weights,
                               .gradients = memory_.gradients,
                               .first_moment = first_moments_.floats(),
                               .second_moment = second_moments_.floats()};
  for_segments([&](std::size_t i, const OptimizerSegment& segment) {
    segment_finite_[i] =
        update_segment(segment, updates_[static_cast<std::size_t>(segment.lane)], memory) ? 1 : 0;
  });
  std::fill(finite_.begin(), finite_.end(), 1);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    finite_[static_cast<std::size_t>(segments_[i].lane)] &= segment_finite_[i];
  }
  if (std::find(finite_.begin(), finite_.end(), 0) == finite_.end()) {
    return;
  }
  for_segments([&](std::size_t, const OptimizerSegment& segment) {
    if (finite_[static_cast<std::size_t>(segment.lane)] == 0) {
      std::fill_n(memory.weights + segment.offset, segment.size, std::numeric_limits<float>::quiet_NaN());
    }
  });
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

}  // namespace

Result<std::unique_ptr<Engine>> make_cpu_engine(const ModelConfig& config, const EngineOptions& options) {
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
