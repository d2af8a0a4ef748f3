// A study and its store in a folder of their own, told by simulated crews.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "coordinator/store.h"
#include "study_kit.h"

namespace regatta {

class StoredRace {
 public:
  explicit StoredRace(const std::string& search, const std::string& objective = "{minimize: loss}");

  // To the study's end. `after`: called after each transaction.
  void run(const SimulationOptions& options, const std::function<void()>& after = {});

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path database() const { return folder() / "study.db"; }
  Study& study() { return *study_; }
  const Experiment& experiment() const { return experiment_; }
  Store& store() { return *store_; }
  void close_store();
  const std::vector<TimedEvent>& log() const { return log_; }

 private:
  TemporaryDirectory folder_;
  Experiment experiment_;
  std::unique_ptr<Study> study_;
  std::unique_ptr<Store> store_;
  std::vector<TimedEvent> log_;
};

// Equal events have equal texts.
std::vector<std::string> describe(std::span<const TimedEvent> events);

}  // namespace regatta
