// The trials in Optuna's tables, so that its tools open a study. What Optuna has no word for is mapped only
// here: a paused trial is RUNNING, a stopped one PRUNED, a failed or invalid one FAIL. Values are in the
// user's direction. https://github.com/optuna/optuna, optuna/storages/_rdb/models.py.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>
#include <string_view>

#include "coordinator/study.h"

namespace regatta {

// Functions throw SQLite::Exception; transactions are the caller's.
class OptunaTables {
 public:
  static void create(SQLite::Database& database);

  // The tables exist.
  explicit OptunaTables(SQLite::Database& database);

  void add_study(const Experiment& experiment);
  void add_trial(const Experiment& experiment, const TrialProposed& event);
  void add_report(const Experiment& experiment, const Reported& event);
  // State, times, last metrics and, once it has ended, values.
  void update_trial(const Experiment& experiment, const Trial& trial, const TrialRecord& record);
  void set_study_attribute(const std::string& key, const std::string& value_json);
  void set_study_metrics(const std::string& key, const Metrics& metrics);

 private:
  void set_trial_attribute(int trial, const std::string& key, const std::string& value_json);

  SQLite::Database& database_;
  SQLite::Statement add_trial_;
  SQLite::Statement add_parameter_;
  SQLite::Statement add_report_;
  SQLite::Statement update_trial_;
  SQLite::Statement set_value_;
  SQLite::Statement set_trial_attribute_;
  SQLite::Statement set_study_attribute_;
};

}  // namespace regatta
