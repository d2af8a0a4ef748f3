// Data and engines are known by the YAML text that they were made from, every $name replaced.
#include "worker/workbench.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "models/cpu/engine.h"
#include "worker/agreement.h"
#include "worker/plan.h"
#include "worker/rank_cpus.h"
#include "worker/shape_key.h"
#include "worker/sharded_engine.h"

namespace regatta {
namespace {

constexpr std::int64_t kEvaluationRows = 256;  // a rank, where the data has as many

// Why the ranks cannot share the virtual shards of a batch; nullopt: they can, or there are none.
std::optional<std::string> check_shards(const TrainConfig& train, std::int64_t samples, int ranks) {
  if (train.shards > 0 && train.shards % ranks != 0) {
    return fmt::format(
        "{} virtual shards cannot be divided among {} ranks: give a crew 1, 2, 4 … ranks, {} "
        "at most",
        train.shards, ranks, train.shards);
  }
  if (train.shards > samples) {
    return fmt::format("{} samples cannot be cut into {} virtual shards", samples, train.shards);
  }
  return std::nullopt;
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
  auto config = plan_trial(experiment_, shape_, point, options_.max_epochs);
  if (!config.ok()) {  // the same on every rank
    return std::optional(Refusal{How::invalid, config.error().message});
  }
  config_ = std::move(config).value();
  if (const std::int64_t rows = std::min(config_.train.batch_size, splits_.train.count());
      rows < communicator_.size()) {
    return std::optional(Refusal{How::invalid, fmt::format("a batch of {} cannot be split over {} ranks",
                                                           rows, communicator_.size())});
  }
  if (const auto mistake = check_shards(config_.train, splits_.train.count(), communicator_.size())) {
    return std::optional(Refusal{How::invalid, *mistake});
  }
  ASSIGN_OR_RETURN(const Node model, section_at(experiment_, "model", point));
  model_yaml_ = to_yaml(model);
  ASSIGN_OR_RETURN(const std::string key, shape_key(experiment_, point));
  Status made;
  if (key != engine_key_) {
    engine_key_.clear();  // nothing fits while it is remade
    made = make_engine();
  }
  ASSIGN_OR_RETURN(const auto no_engine, first_failure(communicator_, made));
  if (no_engine) {
    return std::optional(Refusal{How::failed, *no_engine});
  }
  engine_key_ = key;
  return std::optional<Refusal>();
}

void Workbench::load_ahead() {
  const Node* const data = experiment_.section("data");
  const std::vector<Point> points = representative_points(experiment_.space);
  if (data == nullptr || points.empty()) {
    return;
  }
  const auto known = section_at(experiment_, "data", points.front());
  if (known.ok() && to_yaml(*known) == to_yaml(*data)) {
    (void)load_data_for(points.front());
  }
}

bool Workbench::fits(const Point& point) const {
  const auto key = shape_key(experiment_, point);
  return key.ok() && *key == engine_key_;
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
  shape_ = shape_of(splits_);
  return {};
}

LoaderOptions Workbench::training_order() const {
  return {.seed = experiment_.seed,
          .global_batch = config_.train.batch_size,
          .rank = communicator_.rank(),
          .ranks = communicator_.size(),
          .augmentation = augmentation_};
}

// With shards each rank measures everything, so that nothing depends on how many there are.
LoaderOptions Workbench::evaluation_order() const {
  const bool is_shared = config_.train.shards == 0;
  const int ranks = is_shared ? communicator_.size() : 1;
  return {.global_batch = kEvaluationRows * ranks,
          .rank = is_shared ? communicator_.rank() : 0,
          .ranks = ranks,
          .shuffle = false};
}

void Workbench::make_batch_sources() {
  int parts = 0;  // of an engine's data for measuring
  const auto make = [&](const Split& split, const LoaderOptions& order, int part) {
    return keeps_data_ ? make_kept_batches(split.count(), order, part) : make_host_batches(split, order);
  };
  const auto make_for_evaluation = [&](const Split& split) {
    const int part = parts++;
    return split.count() > 0 ? make(split, evaluation_order(), part) : nullptr;
  };
  training_ = make(splits_.train, training_order(), 0);
  validation_ = make_for_evaluation(splits_.validation);
  test_ = make_for_evaluation(splits_.test);
}

Status Workbench::make_engine() {
  exchange_.reset();  // first: its thread may be at work for the engine
  engine_.reset();
  memory_.reset();
  const auto rows = [](const Split& split, const LoaderOptions& order) {
    return split.count() > 0 ? make_kept_batches(split.count(), order, 0)->batch_capacity() : 1;
  };
  const EngineOptions options{.batch_capacity = rows(splits_.train, training_order()),
                              .global_batch = std::min(config_.train.batch_size, splits_.train.count()),
                              .evaluation_capacity = std::max(rows(splits_.validation, evaluation_order()),
                                                              rows(splits_.test, evaluation_order())),
                              .lanes = options_.lanes,
                              .threads = options_.threads,
                              .classification = splits_.train.dataset->task == Task::classification,
                              .target_scale = splits_.train.normalization->target_scale};
  keeps_data_ = false;
  RETURN_IF_ERROR(options_.card ? make_card_engine(options) : make_cpu_engine(options));
  make_batch_sources();
  return {};
}

Status Workbench::make_cpu_engine(EngineOptions options) {
  if (config_.train.shards > 0) {
    ASSIGN_OR_RETURN(engine_, make_sharded_engine(config_, options, config_.train.shards, communicator_));
    return {};
  }
  RETURN_IF_ERROR(make_exchange());
  if (memory_ != nullptr) {
    lend_memory(*memory_, rows_, options);
  }
  ASSIGN_OR_RETURN(engine_, regatta::make_cpu_engine(config_, options));
  return {};
}

Status Workbench::make_card_engine(const EngineOptions& options) {
  if (config_.train.shards > 0) {
    return failure(
        "`deterministic: world` is for CPUs; write `device: cpu` under resources:, or leave it out");
  }
  if (card_engines_ == nullptr) {
    ASSIGN_OR_RETURN(card_engines_,
                     open_card(communicator_, clock_,
                               {.card = options_.card->index, .shares_cards = options_.shares_cards}));
  }
  ASSIGN_OR_RETURN(CardEngine made, card_engines_->make(config_, options,
                                                        {.train = splits_.train,
                                                         .validation = splits_.validation,
                                                         .test = splits_.test,
                                                         .training = training_order(),
                                                         .evaluation = evaluation_order()}));
  engine_ = std::move(made.engine);
  keeps_data_ = made.keeps_data;
  return {};
}

// A crew of one has no need for it. Clipped updates are made by every rank for itself, because they wait for
// the whole gradient.
Status Workbench::make_exchange() {
  if (communicator_.size() == 1) {
    return {};
  }
  const auto floats = static_cast<std::size_t>(options_.lanes * config_.network.parameter_count);
  rows_ = config_.train.gradient_clip ? 1 : shared_rows(config_.train.optimizer.kind);
  ASSIGN_OR_RETURN(memory_, communicator_.allocate(floats, rows_));
  ASSIGN_OR_RETURN(const auto masks, gather_masks(communicator_));
  const int cores = cores_of_host(masks, communicator_.rank());
  double busy_ranks = options_.threads * communicator_.host_size() < cores ? 0 : 1;
  RETURN_IF_ERROR(communicator_.allreduce({&busy_ranks, 1}));  // all ranks choose among the same plans
  exchange_ = std::make_unique<CrewExchange>(
      communicator_, clock_, *memory_, rows_,
      ExchangeOptions{.wire = wire_of(experiment_),
                      .threads = options_.threads,
                      .plans = exchange_candidates(floats * sizeof(float), busy_ranks == 0)});
  return {};
}

MetricSums Workbench::new_sums() const {
  switch (prediction_of(shape_)) {
    case Prediction::classes:
      return MetricSums::classification(shape_.outputs);
    case Prediction::tokens:
      return MetricSums::continuation(shape_.outputs);
    case Prediction::numbers:
      break;
  }
  return MetricSums::regression(shape_.outputs, splits_.train.normalization->target_scale);
}

}  // namespace regatta
