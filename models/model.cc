// Reads `model` and `train` and checks them against each other and against the data.
#include "models/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "base/text.h"
#include "experiment/section.h"
#include "models/ready_networks.h"

namespace regatta {
namespace {

constexpr std::int64_t kLargestBatch = 1'000'000'000;

// A sentence that helps more than "unknown key".
void refuse_epochs(Section& section) {
  for (const std::string_view key : {"epochs", "max_epochs"}) {
    if (const Node* epochs = section.child(key)) {
      section.mistake(
          epochs->place(),
          fmt::format("'{}' does not belong to train: the scheduler decides how long a trial trains; "
                      "write `search: {{scheduler: {{type: fifo, max_epochs: 10}}}}`",
                      key));
    }
  }
}

struct OptimizerKind {
  std::string_view name;
  OptimizerConfig::Kind kind;
  void (*read)(Section& section, OptimizerConfig& config);
};

void read_sgd(Section& section, OptimizerConfig& config) {
  config.momentum = section.number("momentum", {.fallback = 0.0, .min = 0, .max = 1, .max_excluded = true});
  config.nesterov = section.flag("nesterov", false);
  if (config.nesterov && config.momentum == 0) {
    section.mistake(section.place(), "nesterov needs a momentum above 0");
  }
}

void read_adam(Section& section, OptimizerConfig& config) {
  const OptimizerConfig defaults;
  config.lr = section.number("lr", {.fallback = 0.001, .min = 0});
  config.beta1 =
      section.number("beta1", {.fallback = defaults.beta1, .min = 0, .max = 1, .max_excluded = true});
  config.beta2 =
      section.number("beta2", {.fallback = defaults.beta2, .min = 0, .max = 1, .max_excluded = true});
  config.epsilon = section.number("epsilon", {.fallback = defaults.epsilon, .min = 0, .min_excluded = true});
}

void read_adamw(Section& section, OptimizerConfig& config) {
  read_adam(section, config);
  config.weight_decay = section.number("weight_decay", {.fallback = 0.01, .min = 0});
}

constexpr std::array kOptimizerKinds = {
    OptimizerKind{"sgd", OptimizerConfig::Kind::sgd, read_sgd},
    OptimizerKind{"adam", OptimizerConfig::Kind::adam, read_adam},
    OptimizerKind{"adamw", OptimizerConfig::Kind::adamw, read_adamw},
};

// The entry of a table that has this name.
template <class Table>
Result<const typename Table::value_type*> find_named(const Table& table, const Typed& typed,
                                                     std::string_view what) {
  std::vector<std::string> names;
  for (const auto& entry : table) {
    if (entry.name == typed.type) {
      return &entry;
    }
    names.emplace_back(entry.name);
  }
  return mistake_at(typed.place, fmt::format("there is no {} '{}'{}; there are {}", what, typed.type,
                                             did_you_mean(typed.type, names), one_of(names)));
}

// Keys that only other optimizers have: the usual slip where the optimizer is itself searched.
void refuse_foreign_keys(Section& section, const OptimizerKind& kind) {
  const bool sgd = kind.kind == OptimizerConfig::Kind::sgd;
  const auto foreign = sgd ? std::vector<std::string>{"beta1", "beta2", "epsilon"}
                           : std::vector<std::string>{"momentum", "nesterov"};
  for (const std::string& key : foreign) {
    if (section.has(key)) {
      section.mistake(section.child(key)->place(),
                      fmt::format("'{0}' is an option of {1}, not of {2}; if the optimizer is searched, make "
                                  "{0} a parameter with `when: optimizer == …`",
                                  key, sgd ? "adam and adamw" : "sgd", kind.name));
    }
  }
}

Result<OptimizerConfig> read_optimizer(const Node& node) {
  ASSIGN_OR_RETURN(const Typed typed, read_typed(node, "optimizer"));
  ASSIGN_OR_RETURN(const OptimizerKind* kind, find_named(kOptimizerKinds, typed, "optimizer"));
  Section section(typed.options, "optimizer");
  OptimizerConfig config;
  config.kind = kind->kind;
  config.lr = section.number("lr", {.fallback = config.lr, .min = 0});
  config.weight_decay = section.number("weight_decay", {.fallback = 0.0, .min = 0});
  kind->read(section, config);
  refuse_foreign_keys(section, *kind);
  RETURN_IF_ERROR(section.finish());
  return config;
}

struct ScheduleKind {
  std::string_view name;
  ScheduleConfig::Kind kind;
};
constexpr std::array kScheduleKinds = {
    ScheduleKind{"constant", ScheduleConfig::Kind::constant},
    ScheduleKind{"cosine", ScheduleConfig::Kind::cosine},
    ScheduleKind{"step", ScheduleConfig::Kind::step},
};

Result<ScheduleConfig> read_schedule(const Node& node, int max_epochs) {
  ASSIGN_OR_RETURN(const Typed typed, read_typed(node, "schedule"));
  ASSIGN_OR_RETURN(const ScheduleKind* kind, find_named(kScheduleKinds, typed, "schedule"));
  Section section(typed.options, "schedule");
  ScheduleConfig schedule;
  schedule.kind = kind->kind;
  schedule.total_epochs = max_epochs;
  schedule.warmup_epochs = section.number("warmup", {.fallback = 0.0, .min = 0});
  if (kind->kind == ScheduleConfig::Kind::cosine) {
    schedule.final_factor = section.number("final_factor", {.fallback = 0.0, .min = 0, .max = 1});
  } else if (kind->kind == ScheduleConfig::Kind::step) {
    schedule.step_epochs = section.number("epochs", {.min = 0, .min_excluded = true});
    schedule.step_factor = section.number("factor", {.fallback = 0.1, .min = 0, .min_excluded = true});
  }
  RETURN_IF_ERROR(section.finish());
  return schedule;
}

// "val_loss": a metric of the task, measured on the training or validation data after each epoch.
Status check_stopping_metric(const std::string& metric, const Place& place, Prediction prediction) {
  std::vector<std::string> names;
  for (const std::string_view part : {"val_", "train_"}) {
    for (const std::string& name : metric_names(prediction)) {
      names.push_back(std::string(part) + name);
    }
  }
  if (std::find(names.begin(), names.end(), metric) == names.end()) {
    return mistake_at(place, fmt::format("no metric '{}' is reported{}; there are {}", metric,
                                         did_you_mean(metric, names), one_of(names)));
  }
  return {};
}

bool is_error(std::string_view metric) {
  return std::ranges::any_of(std::array{"loss", "mae", "rmse", "perplexity"},
                             [metric](const char* error) { return metric.ends_with(error); });
}

Result<EarlyStopping> read_early_stopping(const Node& node, Prediction prediction) {
  Section section(node, "early_stopping");
  EarlyStopping stopping;
  stopping.metric = section.text("metric", "val_loss");
  const Node* metric = section.child("metric");
  if (const Status status = check_stopping_metric(
          stopping.metric, metric != nullptr ? metric->place() : node.place(), prediction);
      !status.ok()) {
    section.fail(status.error());
  }
  stopping.maximize = !is_error(stopping.metric);
  stopping.patience =
      static_cast<int>(section.integer("patience", {.fallback = 5, .min = 1, .max = 1'000'000}));
  stopping.min_delta = section.number("min_delta", {.fallback = 0.0, .min = 0});
  RETURN_IF_ERROR(section.finish());
  return stopping;
}

Loss read_loss(Section& section, bool classification) {
  const std::string fitting = classification ? "cross_entropy" : "mse";
  const std::string loss = section.choice("loss", {"cross_entropy", "mse"}, fitting);
  if (loss != fitting) {
    section.mistake(section.child("loss")->place(),
                    fmt::format("the loss {} does not fit: the data asks for {}, so write `loss: {}`", loss,
                                classification ? "classification" : "regression", fitting));
  }
  return loss == "mse" ? Loss::mse : Loss::cross_entropy;
}

// `world`, or {type: world, shards: 16}.
Result<int> read_shards(const Node& node) {
  constexpr std::int64_t kMostShards = 1024;
  ASSIGN_OR_RETURN(const Typed typed, read_typed(node, "deterministic"));
  if (typed.type != "world") {
    return mistake_at(typed.place,
                      fmt::format("unknown deterministic '{}'; expected world: the same bits for "
                                  "any number of ranks (for one number of ranks they are always "
                                  "the same)",
                                  typed.type));
  }
  Section section(typed.options, "deterministic");
  const auto shards =
      static_cast<unsigned>(section.integer("shards", {.fallback = 8, .min = 1, .max = kMostShards}));
  if (!std::has_single_bit(shards)) {
    section.mistake(section.child("shards")->place(),
                    fmt::format("expected a power of two for 'shards', not {}", shards));
  }
  RETURN_IF_ERROR(section.finish());
  return static_cast<int>(shards);
}

// Szegedy et al. 2016, section 7, as PyTorch defines it.
double read_label_smoothing(Section& section, bool classification) {
  const double smoothing =
      section.number("label_smoothing", {.fallback = 0.0, .min = 0, .max = 1, .max_excluded = true});
  if (smoothing > 0 && !classification) {
    section.mistake(section.child("label_smoothing")->place(),
                    "label_smoothing is for classification, and the data asks for regression; leave it out");
  }
  return smoothing;
}

Result<TrainConfig> read_train(const Node& node, const ModelInput& input) {
  Section section(node, "train");
  TrainConfig train;
  refuse_epochs(section);
  train.loss = read_loss(section, input.classification);
  train.label_smoothing = read_label_smoothing(section, input.classification);
  train.batch_size =
      section.integer("batch_size", {.fallback = train.batch_size, .min = 1, .max = kLargestBatch});
  const std::string precision = section.choice("precision", {"fp32", "tf32", "bf16"}, "fp32");
  train.precision = precision == "bf16"   ? Precision::bf16
                    : precision == "tf32" ? Precision::tf32
                                          : Precision::fp32;
  train.gradient_clip = section.optional_number("gradient_clip", {.min = 0, .min_excluded = true});
  const Node sgd = Node::scalar(node.place(), "sgd", false);
  const Node* optimizer = section.child("optimizer");
  if (const auto config = section.take(read_optimizer(optimizer != nullptr ? *optimizer : sgd))) {
    train.optimizer = *config;
  }
  const Node constant = Node::scalar(node.place(), "constant", false);
  const Node* schedule = section.child("schedule");
  if (const auto config =
          section.take(read_schedule(schedule != nullptr ? *schedule : constant, input.max_epochs))) {
    train.schedule = *config;
  }
  const Node* stopping = section.child("early_stopping");
  if (stopping != nullptr && !stopping->is_null()) {
    train.early_stopping = section.take(read_early_stopping(*stopping, prediction_of(input)));
  }
  const Node* deterministic = section.child("deterministic");
  if (deterministic != nullptr && !deterministic->is_null()) {
    train.shards = section.take(read_shards(*deterministic)).value_or(0);
    if (train.shards > train.batch_size) {
      section.mistake(deterministic->place(),
                      fmt::format("a batch of {0} cannot be cut into {1} shards; give at most {0} `shards`",
                                  train.batch_size, train.shards));
    }
  }
  RETURN_IF_ERROR(section.finish());
  return train;
}

// An embedding has a row for each number that the data hold.
Status check_tokens(const Network& network, const ModelInput& input) {
  for (const PlannedLayer& planned : network.summary) {
    const auto* embedding = std::get_if<Embedding>(&planned.layer.what);
    if (embedding == nullptr) {
      continue;
    }
    if (input.tokens == 0) {
      return mistake_at(
          planned.layer.place,
          fmt::format("{} reads token numbers, and the data's inputs are not all whole numbers "
                      "from 0; those of a table stay as they are with `data: {{normalize: false}}`",
                      planned.layer.name));
    }
    if (embedding->vocabulary < input.tokens) {
      return mistake_at(planned.layer.place,
                        fmt::format("the data has {0} different tokens, and the embedding only {1}; write "
                                    "`vocabulary: {0}`",
                                    input.tokens, embedding->vocabulary));
    }
  }
  return {};
}

// A list of layers, or a network with a name.
Result<std::vector<Layer>> read_model_layers(const Node& node, const ModelInput& input) {
  if (node.is_scalar() || node.find("type") != nullptr) {
    return read_ready_network(node, input);
  }
  Section section(node, "model");
  const Node* layers = section.required_child("layers");
  RETURN_IF_ERROR(section.finish());
  return read_layers(*layers);
}

Result<Network> read_network(const Node& node, const ModelInput& input) {
  ASSIGN_OR_RETURN(auto layers, read_model_layers(node, input));
  const Place last = layers.back().place;
  ASSIGN_OR_RETURN(Network network, plan_network(std::move(layers), input.sample_shape));
  RETURN_IF_ERROR(check_tokens(network, input));
  const bool sequence = input.positions > 1;
  if (network.output != (sequence ? Shape{input.positions, input.outputs} : Shape{input.outputs})) {
    const bool keeps_time = !sequence && is_sequence(network.output);
    return mistake_at(
        last,
        fmt::format("the network ends with {} values, but the data has {} {}{}; end with {}`- dense: {}`",
                    describe(network.output), input.outputs,
                    input.classification ? "classes"
                    : input.outputs == 1 ? "target"
                                         : "targets",
                    sequence ? fmt::format(" at each of {} positions", input.positions) : "",
                    keeps_time ? "`- pool_time: last` (or mean) and " : "", input.outputs));
  }
  return network;
}

}  // namespace

Prediction prediction_of(const ModelInput& input) {
  if (!input.classification) {
    return Prediction::numbers;
  }
  return input.positions > 1 ? Prediction::tokens : Prediction::classes;
}

Result<ModelConfig> read_model(const Node& model, const Node& train, const ModelInput& input) {
  ASSIGN_OR_RETURN(Network network, read_network(model, input));
  ASSIGN_OR_RETURN(TrainConfig config, read_train(train, input));
  return ModelConfig{.network = std::move(network), .train = std::move(config)};
}

}  // namespace regatta
