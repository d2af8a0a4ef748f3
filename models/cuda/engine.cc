// The course of a step: numbers and batch go ahead, a recorded graph does the work, sums come back when
// asked.
#include "models/cuda/engine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "models/cuda/host_feed.h"
#include "models/cuda/host_state.h"
#include "models/cuda/program.h"
#include "models/cuda/step_ring.h"
#include "models/cuda/update.h"
#include "models/dropout.h"

namespace regatta::cuda {
namespace {

// A program with what it takes to run it.
struct Runner {
  std::unique_ptr<Program> program;
  std::unique_ptr<BatchFeed> feed;
  Graph graph;
  bool is_warm = false;
  DeviceMemory device_sums;         // [lanes][sums]
  std::span<MetricSums> host_sums;  // of the calls since the last finish()
};

class CudaEngine final : public Engine {
 public:
  CudaEngine(const ModelConfig& config, const EngineOptions& options, const CudaEngineOptions& device_options)
      : config_(config),
        options_(options),
        exchange_(device_options.exchange),
        records_steps_(device_options.records_steps),
        recorded_nodes_(device_options.recorded_nodes),
        part_ends_(device_options.part_ends),
        state_(config_.network, options.lanes),
        gradients_(state_.weights.size()) {}

  ~CudaEngine() override { static_cast<void>(cudaStreamSynchronize(stream_.get())); }

  Status allocate(CudaEngineOptions device_options);

  void start_lane(int lane, const LaneSettings& settings) override;
  LaneState save_lane(int lane) const override;
  Status restore_lane(int lane, const LaneState& state) override;
  void select_lanes(std::span<const int> lanes) override { state_.trials.select(lanes); }
  Status train(const BatchView& batch, const TrainStep& step) override;
  Status evaluate(const BatchView& batch, std::span<MetricSums> sums) override;
  Status finish() override;
  std::span<const float> gradients() const override;

 private:
  Status make_runner(Runner& runner, Phase phase, std::int64_t rows, std::unique_ptr<BatchFeed> feed);
  Status bring_up(int lane);
  Status run(Runner& runner, const BatchView& batch, double epoch);
  Status run_step(Runner& runner, const BatchView& batch, double epoch);
  Status warm_up(Runner& runner);
  Status write_numbers(const Runner& runner, const BatchView& batch, double epoch, bool active);
  Status enqueue(Runner& runner);
  Status enqueue_training(Runner& runner, const Step& step);
  Status pass(StepPart part);
  Status collect_sums(Runner& runner);
  void tell_broken_lanes(std::span<MetricSums> sums) const;
  // Ranks announce gradients as they become final, in the order of the step's own stream.
  bool is_alone() const { return exchange_ == nullptr; }
  Health health() const { return {broken_.as<int>(), reinterpret_cast<int*>(told_.data())}; }

  ModelConfig config_;
  EngineOptions options_;
  DeviceExchange* exchange_;
  bool records_steps_;
  std::size_t* recorded_nodes_;
  std::span<CUevent_st* const> part_ends_;
  HostState state_;
  mutable std::vector<float> gradients_;
  Status failed_;  // the first failure, of a call that can tell or of one that cannot

  Stream stream_;
  SideBranch side_;
  std::unique_ptr<Libraries> own_libraries_;
  Libraries* libraries_ = nullptr;
  Parameters parameters_;
  Update update_;
  StepRing ring_;
  DeviceMemory broken_;
  SharedHostMemory told_;
  DeviceMemory target_scale_;
  DeviceMemory arena_;
  BatchMemory batch_;
  Runner training_;
  Runner evaluation_;
};

int dropout_layers(const ModelConfig& config) {
  return static_cast<int>(lane_settings(config, 0).dropout_rates.size());
}

MetricSums sums_of(const ModelConfig& config, const EngineOptions& options) {
  const std::int64_t outputs = is_sequence(config.network.output) ? config.network.output.back()
                                                                  : element_count(config.network.output);
  return options.classification ? MetricSums::classification(outputs)
                                : MetricSums::regression(outputs, options.target_scale);
}

Status CudaEngine::allocate(CudaEngineOptions device_options) {
  ASSIGN_OR_RETURN(stream_, Stream::create());
  ASSIGN_OR_RETURN(side_, SideBranch::create());
  libraries_ = device_options.libraries;
  if (libraries_ == nullptr) {
    ASSIGN_OR_RETURN(own_libraries_, open_libraries());
    libraries_ = own_libraries_.get();
  }
  const ElementType products =
      config_.train.precision == Precision::bf16 ? ElementType::bf16 : ElementType::f32;
  ASSIGN_OR_RETURN(parameters_, Parameters::allocate(config_.network, options_.lanes, products));
  ASSIGN_OR_RETURN(update_, Update::plan(parameters_, config_.train.gradient_clip));
  ASSIGN_OR_RETURN(ring_, StepRing::create(options_.lanes, dropout_layers(config_)));

  const auto lanes = static_cast<std::size_t>(options_.lanes);
  ASSIGN_OR_RETURN(broken_, DeviceMemory::allocate(lanes * sizeof(int), "the lanes' health"));
  ASSIGN_OR_RETURN(told_, SharedHostMemory::allocate(lanes * sizeof(int)));
  std::vector<float> scale = options_.target_scale;
  const std::int64_t outputs = element_count(config_.network.output);
  scale.resize(static_cast<std::size_t>(outputs), 1.0F);
  ASSIGN_OR_RETURN(target_scale_, DeviceMemory::allocate(scale.size() * sizeof(float), "the targets' scale"));
  RETURN_IF_ERROR(check(
      cudaMemcpy(target_scale_.data(), scale.data(), scale.size() * sizeof(float), cudaMemcpyHostToDevice),
      "copying the targets' scale"));

  const std::int64_t rows = std::max(options_.batch_capacity, options_.evaluation_capacity);
  const Shape& output = config_.network.output;
  const std::int64_t positions = is_sequence(output) ? output.front() : 1;
  const BatchSizes sizes{.rows = rows,
                         .inputs = element_count(config_.network.input),
                         .labels = options_.classification ? positions : 0,
                         .targets = options_.classification ? 0 : outputs};
  ASSIGN_OR_RETURN(batch_, BatchMemory::allocate(sizes));

  for (auto* feed : {&device_options.training_feed, &device_options.evaluation_feed}) {
    if (*feed == nullptr) {
      ASSIGN_OR_RETURN(*feed, make_host_feed(sizes));
    }
  }
  RETURN_IF_ERROR(
      make_runner(training_, Phase::train, options_.batch_capacity, std::move(device_options.training_feed)));
  RETURN_IF_ERROR(make_runner(evaluation_, Phase::evaluate, options_.evaluation_capacity,
                              std::move(device_options.evaluation_feed)));
  std::size_t bytes = 0;
  for (const Runner* runner : {&training_, &evaluation_}) {
    bytes = std::max(bytes, runner->program ? runner->program->arena_bytes() : 0);
  }
  ASSIGN_OR_RETURN(arena_, DeviceMemory::allocate(bytes, "the values and gradients of a step"));
  return check(cudaDeviceSynchronize(), "preparing the GPU");
}

Status CudaEngine::make_runner(Runner& runner, Phase phase, std::int64_t rows,
                               std::unique_ptr<BatchFeed> feed) {
  if (rows == 0) {
    return {};
  }
  const std::size_t of_lane = sums_of(config_, options_).sums().size() * sizeof(double);
  ASSIGN_OR_RETURN(runner.device_sums,
                   DeviceMemory::allocate(of_lane * static_cast<std::size_t>(options_.lanes), "the metrics"));
  runner.feed = std::move(feed);
  ASSIGN_OR_RETURN(runner.program, Program::plan(*libraries_, parameters_, config_,
                                                 {.phase = phase,
                                                  .rows = rows,
                                                  .global_batch = options_.global_batch,
                                                  .has_side_branch = phase == Phase::train && is_alone(),
                                                  .loss = {.sums = runner.device_sums.as<double>(),
                                                           .health = health(),
                                                           .target_scale = target_scale_.as<float>()}}));
  return {};
}

void CudaEngine::start_lane(int lane, const LaneSettings& settings) {
  state_.trials.start(lane, settings);
  if (const Status status = bring_up(lane); !status.ok() && failed_.ok()) {
    failed_ = status;
  }
}

// The host's state of the lane becomes the device's.
Status CudaEngine::bring_up(int lane) {
  RETURN_IF_ERROR(parameters_.upload(lane, state_.memory, stream_));
  update_.renew_copies(stream_.get());
  RETURN_IF_ERROR(
      check(cudaMemsetAsync(health().broken + lane, 0, sizeof(int), stream_.get()), "starting a lane"));
  RETURN_IF_ERROR(check(cudaStreamSynchronize(stream_.get()), "starting a lane"));
  health().told_to_host[lane] = 0;
  return {};
}

LaneState CudaEngine::save_lane(int lane) const {
  auto& state = const_cast<HostState&>(state_);  // a copy of what stands on the device
  const Status status = parameters_.download(lane, state.memory, stream_);
  LaneState saved = state.trials.save(lane);
  if (!status.ok() || health().told_to_host[lane] != 0) {
    for (NamedTensor& tensor : saved.tensors) {
      std::ranges::fill(tensor.values, std::numeric_limits<float>::quiet_NaN());
    }
  }
  return saved;
}

Status CudaEngine::restore_lane(int lane, const LaneState& state) {
  RETURN_IF_ERROR(state_.trials.restore(lane, state));
  return bring_up(lane);
}

Status CudaEngine::write_numbers(const Runner& runner, const BatchView& batch, double epoch, bool active) {
  ASSIGN_OR_RETURN(StepRing::Slot slot, ring_.next());
  *slot.batch = {.count = batch.count,
                 .first_sample = batch.first_sample,
                 .epoch = batch.epoch,
                 .step = batch.step,
                 .part = batch.part,
                 .mixed = runner.feed->is_mixed(batch) ? 1 : 0};
  const auto updates = state_.trials.plan_updates(epoch);
  const auto runs = state_.trials.runs();
  for (std::size_t lane = 0; lane < runs.size(); ++lane) {
    slot.lanes[lane] = {.active = active && runs[lane].active ? 1 : 0, .update = updates[lane]};
    for (std::size_t layer = 0; layer < runs[lane].dropout_rates.size(); ++layer) {
      const double rate = runs[lane].dropout_rates[layer];
      slot.dropouts[layer * runs.size() + lane] = {
          .key = dropout_key(runs[lane].seed, static_cast<int>(layer), runs[lane].step),
          .threshold = dropout_threshold(rate),
          .scale = static_cast<float>(1 / (1 - rate))};
    }
  }
  return {};
}

Status CudaEngine::enqueue(Runner& runner) {
  const Step step{.stream = stream_.get(),
                  .memory = &runner.program->memory(),
                  .arena = arena_.data(),
                  .batch = batch_.batch(runner.program->input_layout()),
                  .numbers = ring_.numbers(),
                  .counters = runner.program->counters(),
                  .exchange = exchange_,
                  .side = &runner == &training_ && is_alone() ? &side_ : nullptr};
  if (&runner == &training_) {
    RETURN_IF_ERROR(enqueue_training(runner, step));
  } else {
    RETURN_IF_ERROR(runner.feed->enqueue(step.batch, runner.program->rows(), ring_.start(), step.stream));
    RETURN_IF_ERROR(runner.program->forward(step));
  }
  return check(cudaPeekAtLastError(), "starting a kernel");
}

Status CudaEngine::enqueue_training(Runner& runner, const Step& step) {
  RETURN_IF_ERROR(pass(StepPart::start));
  RETURN_IF_ERROR(runner.feed->enqueue(step.batch, runner.program->rows(), ring_.start(), step.stream));
  RETURN_IF_ERROR(pass(StepPart::input));
  RETURN_IF_ERROR(runner.program->forward(step));
  RETURN_IF_ERROR(pass(StepPart::forward));
  RETURN_IF_ERROR(runner.program->backward(step));
  RETURN_IF_ERROR(pass(StepPart::backward));
  if (exchange_ != nullptr) {
    RETURN_IF_ERROR(exchange_->finish(step.stream));
  }
  RETURN_IF_ERROR(pass(StepPart::exchange));
  update_.enqueue(step.numbers, health(), step.stream);
  return pass(StepPart::update);
}

// An external event is passed by the recorded step, not by its recording.
Status CudaEngine::pass(StepPart part) {
  if (part_ends_.empty()) {
    return {};
  }
  cudaStreamCaptureStatus recording = cudaStreamCaptureStatusNone;
  RETURN_IF_ERROR(check(cudaStreamIsCapturing(stream_.get(), &recording), "marking a part of a step"));
  const unsigned flags =
      recording == cudaStreamCaptureStatusActive ? cudaEventRecordExternal : cudaEventRecordDefault;
  return check(cudaEventRecordWithFlags(part_ends_[static_cast<std::size_t>(part)], stream_.get(), flags),
               "marking a part of a step");
}

// Runs everything once with no lane active and no row in use, because libraries load their kernels at the
// first call, which a recording does not allow; then records it.
Status CudaEngine::warm_up(Runner& runner) {
  if (runner.is_warm) {
    return {};
  }
  BatchView nothing;
  RETURN_IF_ERROR(write_numbers(runner, nothing, 0, /*active=*/false));
  RETURN_IF_ERROR(runner.feed->stage(nothing, stream_.get()));
  RETURN_IF_ERROR(enqueue(runner));
  RETURN_IF_ERROR(ring_.enqueued(stream_.get()));
  RETURN_IF_ERROR(runner.feed->enqueued(stream_.get()));
  RETURN_IF_ERROR(check(cudaStreamSynchronize(stream_.get()), "running a first step"));
  if (exchange_ != nullptr) {
    RETURN_IF_ERROR(exchange_->status());
  }
  if (records_steps_) {
    ASSIGN_OR_RETURN(runner.graph, Graph::capture(stream_, [&] { return enqueue(runner); }));
    if (recorded_nodes_ != nullptr && &runner == &training_) {
      *recorded_nodes_ = runner.graph.nodes();
    }
  }
  runner.is_warm = true;
  return {};
}

Status CudaEngine::run(Runner& runner, const BatchView& batch, double epoch) {
  if (failed_.ok()) {
    failed_ = run_step(runner, batch, epoch);
  }
  return failed_;
}

Status CudaEngine::run_step(Runner& runner, const BatchView& batch, double epoch) {
  RETURN_IF_ERROR(warm_up(runner));
  RETURN_IF_ERROR(write_numbers(runner, batch, epoch, /*active=*/true));
  RETURN_IF_ERROR(runner.feed->stage(batch, stream_.get()));
  const bool meets_others = exchange_ != nullptr && &runner == &training_;
  if (meets_others) {
    RETURN_IF_ERROR(exchange_->begin_step(stream_.get()));
  }
  const Status launched = records_steps_ ? runner.graph.launch(stream_) : enqueue(runner);
  const Status ended = meets_others ? exchange_->end_step(stream_.get()) : Status();
  RETURN_IF_ERROR(launched);
  RETURN_IF_ERROR(ended);
  RETURN_IF_ERROR(ring_.enqueued(stream_.get()));
  return runner.feed->enqueued(stream_.get());
}

Status CudaEngine::train(const BatchView& batch, const TrainStep& step) {
  CHECK(training_.program != nullptr, "the engine was made without training rows");
  CHECK(step.exchange == nullptr, "ranks on devices exchange on their devices");
  CHECK(batch.count >= 0 && batch.count <= training_.program->rows());
  training_.host_sums = step.sums;
  RETURN_IF_ERROR(run(training_, batch, step.epoch));
  state_.trials.count_step();
  tell_broken_lanes(step.sums);
  return {};
}

Status CudaEngine::evaluate(const BatchView& batch, std::span<MetricSums> sums) {
  CHECK(evaluation_.program != nullptr, "the engine was made without evaluation rows");
  CHECK(batch.count >= 0 && batch.count <= evaluation_.program->rows());
  evaluation_.host_sums = sums;
  return run(evaluation_, batch, 0);
}

void CudaEngine::tell_broken_lanes(std::span<MetricSums> sums) const {
  for (std::size_t lane = 0; lane < sums.size(); ++lane) {
    const volatile int& told = health().told_to_host[lane];
    if (told != 0 && state_.trials.is_active(static_cast<int>(lane))) {
      sums[lane].sums()[MetricLayout::kLoss] = std::numeric_limits<double>::quiet_NaN();
    }
  }
}

Status CudaEngine::finish() {
  for (Runner* runner : {&training_, &evaluation_}) {
    if (failed_.ok()) {
      failed_ = collect_sums(*runner);
    }
  }
  return failed_;
}

Status CudaEngine::collect_sums(Runner& runner) {
  if (runner.host_sums.empty()) {
    return {};
  }
  std::vector<double> values(runner.device_sums.size() / sizeof(double));
  RETURN_IF_ERROR(check(cudaMemcpyAsync(values.data(), runner.device_sums.data(), runner.device_sums.size(),
                                        cudaMemcpyDeviceToHost, stream_.get()),
                        "reading the metrics"));
  RETURN_IF_ERROR(
      check(cudaMemsetAsync(runner.device_sums.data(), 0, runner.device_sums.size(), stream_.get()),
            "clearing the metrics"));
  RETURN_IF_ERROR(check(cudaStreamSynchronize(stream_.get()), "waiting for the GPU"));
  if (exchange_ != nullptr) {
    RETURN_IF_ERROR(exchange_->status());
  }
  const std::size_t size = values.size() / runner.host_sums.size();
  for (std::size_t lane = 0; lane < runner.host_sums.size(); ++lane) {
    const auto sums = runner.host_sums[lane].sums();
    CHECK(sums.size() == size);
    for (std::size_t i = 0; i < size; ++i) {
      sums[i] += values[lane * size + i];
    }
  }
  runner.host_sums = {};
  return {};
}

std::span<const float> CudaEngine::gradients() const {
  CHECK(parameters_.download_gradients(gradients_, stream_).ok(), "gradients can be read after a step");
  return gradients_;
}

}  // namespace

Result<std::unique_ptr<Engine>> make_cuda_engine(const ModelConfig& config, const EngineOptions& options,
                                                 CudaEngineOptions device_options) {
  CHECK(options.lanes >= 1 && options.global_batch >= options.batch_capacity);
  CHECK(options.classification == (config.train.loss == Loss::cross_entropy));
  RETURN_IF_ERROR(check(cudaSetDevice(device_options.device), "choosing the GPU"));
  CHECK(device_options.part_ends.empty() || device_options.part_ends.size() == kStepParts);
  auto engine = std::make_unique<CudaEngine>(config, options, device_options);
  RETURN_IF_ERROR(engine->allocate(std::move(device_options)));
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace regatta::cuda
