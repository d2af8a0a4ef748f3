// Data and engines are known by the YAML text that they were made from, every $name replaced.
#include "worker/workbench.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/host.h"
#include "base/random.h"
#include "models/cpu/engine.h"
#include "worker/agreement.h"
#include "worker/plan.h"

namespace regatta {
namespace {

constexpr std::int64_t kEvaluationRows = 256;  // a rank, where the data has as many

std::unique_ptr<Loader> make_evaluation_loader(const Split& split, const Communicator& communicator,
                                               std::int64_t rows) {
  if (split.count() == 0) {
    return nullptr;
  }
  return std::make_unique<Loader>(
      split,
      LoaderOptions{
          .global_batch = rows, .rank = communicator.rank(), .ranks = communicator.size(), .shuffle = false});
}

}  // namespace

std::uint64_t trial_seed(std::uint64_t experiment_seed, int trial) {
  return Random(experiment_seed, "trial").substream(static_cast<std::uint64_t>(trial)).bits(0);
}

Workbench::Workbench(Communicator& communicator, const Experiment& experiment, const Clock& clock,
                     WorkbenchOptions options)
    : communicator_(communicator), experiment_(experiment), clock_(clock), options_(std::move(options)) {}

Workbench::~Workbench() = default;

Result<std::optional<Workbench::Refusal>> Workbench::prepare(const Point& point) {
  using How = AttemptEnd::How;
  ASSIGN_OR_RETURN(const auto no_data, first_failure(communicator_, load_data_for(point)));
  if (no_data) {
    return std::optional(Refusal{How::failed, *no_data});
  }
  auto config = plan_trial(experiment_, shape_of(splits_), point, options_.max_epochs);
  if (!config.ok()) {  // the same on every rank
    return std::optional(Refusal{How::invalid, config.error().message});
  }
  config_ = std::move(config).value();
  if (const std::int64_t rows = std::min(config_.train.batch_size, splits_.train.count());
      rows < communicator_.size()) {
    return std::optional(Refusal{How::invalid, fmt::format("a batch of {} cannot be split over {} ranks",
                                                           rows, communicator_.size())});
  }
  ASSIGN_OR_RETURN(const std::string key, engine_key(point));
  Status made;
  if (key != engine_key_) {
    engine_key_.clear();  // nothing fits while it is remade
    make_loaders();
    made = make_engine();
  }
  ASSIGN_OR_RETURN(const auto no_engine, first_failure(communicator_, made));
  if (no_engine) {
    return std::optional(Refusal{How::failed, *no_engine});
  }
  engine_key_ = key;
  return std::optional<Refusal>();
}

Status Workbench::load_data_for(const Point& point) {
  ASSIGN_OR_RETURN(const Node node, section_at(experiment_, "data", point));
  const std::string key = to_yaml(without_augmentation(node));
  if (key != data_key_) {
    RETURN_IF_ERROR(replace_data(node));
    data_key_ = key;
  }
  ASSIGN_OR_RETURN(augmentation_, read_augmentation(node, splits_.train.dataset->sample_shape));
  return {};
}

Status Workbench::replace_data(const Node& node) {
  data_key_.clear();
  engine_key_.clear();
  training_.reset();
  validation_.reset();
  test_.reset();
  splits_ = {};  // before the next: two data sets may not fit into memory together
  ASSIGN_OR_RETURN(splits_, load_data(node, experiment_.seed));
  return {};
}

// All that an engine's buffers and plans depend on; the rest is set lane by lane.
Result<std::string> Workbench::engine_key(const Point& point) {
  ASSIGN_OR_RETURN(const Node model, section_at(experiment_, "model", point));
  model_yaml_ = to_yaml(model);
  const TrainConfig& train = config_.train;
  return fmt::format(
      "{}\n{}\n{} {} {} {} {} {}", model_yaml_, describe(augmentation_), static_cast<int>(train.loss),
      train.label_smoothing, static_cast<int>(train.optimizer.kind), static_cast<int>(train.precision),
      train.batch_size, train.gradient_clip ? fmt::format("{}", *train.gradient_clip) : "no clip");
}

void Workbench::make_loaders() {
  const std::int64_t batch = std::min(config_.train.batch_size, splits_.train.count());
  const std::int64_t evaluation_rows = kEvaluationRows * communicator_.size();
  first_row_ = rank_share(batch, communicator_.rank(), communicator_.size()).begin;
  training_ = std::make_unique<Loader>(splits_.train, LoaderOptions{.seed = experiment_.seed,
                                                                    .global_batch = batch,
                                                                    .rank = communicator_.rank(),
                                                                    .ranks = communicator_.size(),
                                                                    .augmentation = augmentation_});
  validation_ = make_evaluation_loader(splits_.validation, communicator_, evaluation_rows);
  test_ = make_evaluation_loader(splits_.test, communicator_, evaluation_rows);
}

Status Workbench::make_engine() {
  engine_.reset();
  exchange_.reset();
  memory_.reset();
  RETURN_IF_ERROR(make_exchange());
  EngineOptions options{.batch_capacity = training_->batch_capacity(),
                        .global_batch = std::min(config_.train.batch_size, splits_.train.count()),
                        .evaluation_capacity = 1,
                        .threads = options_.threads,
                        .classification = splits_.train.dataset->task == Task::classification,
                        .target_scale = splits_.train.normalization->target_scale};
  if (memory_ != nullptr) {
    lend_memory(options);
  }
  for (const auto& loader : {validation_.get(), test_.get()}) {
    if (loader != nullptr) {
      options.evaluation_capacity = std::max(options.evaluation_capacity, loader->batch_capacity());
    }
  }
  ASSIGN_OR_RETURN(engine_, make_cpu_engine(config_, options));
  return {};
}

// A crew of one has no need for it. Clipped updates are made by every rank for itself, because they wait for
// the whole gradient.
Status Workbench::make_exchange() {
  if (communicator_.size() == 1) {
    return {};
  }
  const auto floats = static_cast<std::size_t>(config_.network.parameter_count);
  const bool sgd = config_.train.optimizer.kind == OptimizerConfig::Kind::sgd;
  rows_ = config_.train.gradient_clip ? 1 : sgd ? 3 : 4;
  ASSIGN_OR_RETURN(memory_, communicator_.allocate(floats, rows_));
  const bool core_is_free = options_.threads * communicator_.host_size() < usable_cores();
  exchange_ = std::make_unique<CrewExchange>(
      communicator_, clock_, *memory_, rows_,
      ExchangeOptions{.wire = wire_of(experiment_),
                      .threads = options_.threads,
                      .plans = exchange_candidates(floats * sizeof(float), core_is_free)});
  return {};
}

void Workbench::lend_memory(EngineOptions& options) {
  std::span<float>* const buffers[] = {&options.gradients, &options.weights, &options.first_moments,
                                       &options.second_moments};
  for (int row = 0; row < rows_; ++row) {
    *buffers[row] = memory_->row(row);
  }
  if (rows_ > static_cast<int>(FlatRow::first_moments)) {
    options.collect_moments = [this] {
      for (int row = static_cast<int>(FlatRow::first_moments); row < rows_; ++row) {
        memory_->collect(row);
      }
    };
  }
}

MetricSums Workbench::new_sums() const {
  const DataShape shape = shape_of(splits_);
  return shape.task == Task::classification
             ? MetricSums::classification(shape.outputs)
             : MetricSums::regression(shape.outputs, splits_.train.normalization->target_scale);
}

}  // namespace regatta
