// What a rank keeps from one trial to the next: the data, and the engine as long as the shapes stay the same.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "data/dataset.h"
#include "devices/card_meter.h"
#include "devices/devices.h"
#include "experiment/experiment.h"
#include "models/engine.h"
#include "models/model.h"
#include "worker/attempt.h"
#include "worker/batch_source.h"
#include "worker/card_engines.h"
#include "worker/exchange.h"

namespace regatta {

struct WorkbenchOptions {
  std::filesystem::path folder;  // of the study
  int threads = 1;               // a rank
  int lanes = 1;                 // trials trained at once
  int max_epochs = 1;            // the schedules' horizon
  CardMeter* meter = nullptr;    // of this rank's card; nullptr: none
  std::optional<Card> card;      // that this rank computes on; nullopt: on CPUs
  bool shares_cards = false;     // with other ranks of the crew
};

// Every rank of a crew has one. What it refers to must outlive it.
class Workbench {
 public:
  Workbench(Communicator& communicator, const Experiment& experiment, const Clock& clock,
            WorkbenchOptions options);
  ~Workbench();

  // Why a point cannot be trained, alike on every rank.
  struct Refusal {
    AttemptEnd::How how = AttemptEnd::How::failed;
    std::string message;
  };
  // All ranks: loads the data and makes the engine for a point, where those at hand do not fit. What stands
  // in the lanes is lost with the old engine.
  Result<std::optional<Refusal>> prepare(const Point& point);
  // Loads the data where they do not depend on the point. Why it could not is for prepare() to tell.
  void load_ahead();
  // Whether prepare() would leave the engine as it is, with all that stands in its lanes.
  bool fits(const Point& point) const;

  // Valid after a prepare() without refusal, until the next one; config and model_yaml are the point's.
  Engine& engine() { return *engine_; }
  GradientExchange* exchange() { return exchange_.get(); }  // nullptr: one rank, or the engine has its own
  const ModelConfig& config() const { return config_; }
  const std::string& model_yaml() const { return model_yaml_; }
  const DataSplits& data() const { return splits_; }
  BatchSource& training() { return *training_; }
  BatchSource* validation() { return validation_.get(); }  // nullptr: there is no such data
  BatchSource* test() { return test_.get(); }
  MetricSums new_sums() const;

  Communicator& communicator() { return communicator_; }
  const Experiment& experiment() const { return experiment_; }
  const Clock& clock() const { return clock_; }
  const WorkbenchOptions& options() const { return options_; }
  std::optional<CardUse> card_use() const { return options_.meter ? options_.meter->read() : std::nullopt; }
  bool is_leader() const { return communicator_.rank() == 0; }

 private:
  Status load_data_for(const Point& point);
  Status replace_data(const Node& node);
  Status make_engine();
  Status make_cpu_engine(EngineOptions options);
  Status make_card_engine(const EngineOptions& options);
  Status make_exchange();
  LoaderOptions training_order() const;
  LoaderOptions evaluation_order() const;
  void make_batch_sources();

  Communicator& communicator_;
  const Experiment& experiment_;
  const Clock& clock_;
  const WorkbenchOptions options_;

  std::string data_key_;  // what the splits were made from
  DataSplits splits_;
  DataShape shape_;  // of the splits
  Augmentation augmentation_;
  std::string engine_key_;  // the shape that the engine and the batches were made for
  std::string model_yaml_;
  ModelConfig config_;
  std::unique_ptr<BatchSource> training_;
  std::unique_ptr<BatchSource> validation_;
  std::unique_ptr<BatchSource> test_;
  std::unique_ptr<CardEngines> card_engines_;  // once there was something to train on the card
  bool keeps_data_ = false;                    // the engine, on the card
  std::unique_ptr<FloatMemory> memory_;        // of the engine: the rows of FlatRow, which its peers reach
  int rows_ = 0;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<CrewExchange> exchange_;  // ends before the engine that its thread works for
};

// Of a trial's initial weights and dropout.
std::uint64_t trial_seed(std::uint64_t experiment_seed, int trial);

}  // namespace regatta
