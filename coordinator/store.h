// The study's file: one SQLite database, one writer. The events stand in tables of our own, the trials in
// Optuna's tables, both written in the same transaction. docs/store.md describes it.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "coordinator/events.h"
#include "coordinator/study.h"

namespace regatta {

struct StoredStudy {
  std::string experiment_yaml;  // overrides applied
  std::string experiment_file;  // name for messages
  std::vector<TimedEvent> events;
};

// Not thread-safe. The lock file beside the database stops a second coordinator; it works without shared
// locks.
class Store {
 public:
  static Result<std::unique_ptr<Store>> create(const std::filesystem::path& folder,
                                               const Experiment& experiment);
  // For going on with a study: takes the lock.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder);
  // For looking at a study that may be running: takes no lock, changes nothing.
  static Result<StoredStudy> read(const std::filesystem::path& folder);
  ~Store();

  Result<StoredStudy> load() const;
  // One durable transaction. `study` is the state after these events.
  Status append(std::span<const TimedEvent> events, const Study& study);
  // The last transaction of a session; leaves a file that any viewer can open.
  Status close();

 private:
  class Implementation;
  explicit Store(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace regatta
