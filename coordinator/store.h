// The study's file: one SQLite database, one writer. The events stand in tables of our own, the trials in
// Optuna's tables, both written in the same transaction. docs/store.md describes it.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "coordinator/events.h"
#include "coordinator/study.h"
#include "coordinator/study_lock.h"

namespace regatta {

struct StoredStudy {
  std::string experiment_yaml;  // overrides applied
  std::string experiment_file;  // name for messages
  std::string learned;          // of encode_learned(); empty: nothing
  std::vector<TimedEvent> events;
};

// Not thread-safe. The lock file beside the database stops a second coordinator; it works without shared
// locks (study_lock.h).
class Store {
 public:
  // `learned`: what the study was told of earlier ones, so that it does not need them again.
  static Result<std::unique_ptr<Store>> create(const std::filesystem::path& folder,
                                               const Experiment& experiment, std::string_view learned = {});
  // For going on with a study: takes the lock.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& folder,
                                             const StudyLockOptions& options = {});
  // For looking at a study that may be running: takes no lock, changes nothing.
  static Result<StoredStudy> read(const std::filesystem::path& folder);
  ~Store();

  Result<StoredStudy> load() const;
  // One durable transaction. `study` is the state after these events.
  Status append(std::span<const TimedEvent> events, const Study& study);
  // The last transaction of a session; leaves a file that any viewer can open.
  Status close();

  // To be called every second or so: renews the lock. An error, here and in append() and close(), once
  // another coordinator has taken the study over; nothing has been written then.
  Status keep_lock(Microseconds now);
  bool lost_lock() const;
  const std::string& lock_identity() const;

 private:
  class Implementation;
  explicit Store(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace regatta
