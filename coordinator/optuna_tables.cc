// Optuna's schema v3.2.0.a and the rows of one study in it.
#include "coordinator/optuna_tables.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "coordinator/objectives.h"

namespace regatta {
namespace {

using Json = nlohmann::json;

constexpr const char* kSchema = R"sql(
CREATE TABLE studies (
  study_id INTEGER NOT NULL, study_name VARCHAR(512) NOT NULL, PRIMARY KEY (study_id));
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE TABLE version_info (
  version_info_id INTEGER NOT NULL, schema_version INTEGER, library_version VARCHAR(256),
  PRIMARY KEY (version_info_id), CHECK (version_info_id = 1));
CREATE TABLE study_directions (
  study_direction_id INTEGER NOT NULL, direction VARCHAR(8) NOT NULL, study_id INTEGER NOT NULL,
  objective INTEGER NOT NULL, PRIMARY KEY (study_direction_id), UNIQUE (study_id, objective),
  FOREIGN KEY(study_id) REFERENCES studies (study_id));
CREATE TABLE study_user_attributes (
  study_user_attribute_id INTEGER NOT NULL, study_id INTEGER, "key" VARCHAR(512), value_json TEXT,
  PRIMARY KEY (study_user_attribute_id), UNIQUE (study_id, "key"),
  FOREIGN KEY(study_id) REFERENCES studies (study_id));
CREATE TABLE study_system_attributes (
  study_system_attribute_id INTEGER NOT NULL, study_id INTEGER, "key" VARCHAR(512), value_json TEXT,
  PRIMARY KEY (study_system_attribute_id), UNIQUE (study_id, "key"),
  FOREIGN KEY(study_id) REFERENCES studies (study_id));
CREATE TABLE trials (
  trial_id INTEGER NOT NULL, number INTEGER, study_id INTEGER, state VARCHAR(8) NOT NULL,
  datetime_start DATETIME, datetime_complete DATETIME, PRIMARY KEY (trial_id),
  FOREIGN KEY(study_id) REFERENCES studies (study_id));
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE TABLE trial_user_attributes (
  trial_user_attribute_id INTEGER NOT NULL, trial_id INTEGER, "key" VARCHAR(512), value_json TEXT,
  PRIMARY KEY (trial_user_attribute_id), UNIQUE (trial_id, "key"),
  FOREIGN KEY(trial_id) REFERENCES trials (trial_id));
CREATE TABLE trial_system_attributes (
  trial_system_attribute_id INTEGER NOT NULL, trial_id INTEGER, "key" VARCHAR(512), value_json TEXT,
  PRIMARY KEY (trial_system_attribute_id), UNIQUE (trial_id, "key"),
  FOREIGN KEY(trial_id) REFERENCES trials (trial_id));
CREATE TABLE trial_params (
  param_id INTEGER NOT NULL, trial_id INTEGER, param_name VARCHAR(512), param_value FLOAT,
  distribution_json TEXT, PRIMARY KEY (param_id), UNIQUE (trial_id, param_name),
  FOREIGN KEY(trial_id) REFERENCES trials (trial_id));
CREATE TABLE trial_values (
  trial_value_id INTEGER NOT NULL, trial_id INTEGER NOT NULL, objective INTEGER NOT NULL, value FLOAT,
  value_type VARCHAR(7) NOT NULL, PRIMARY KEY (trial_value_id), UNIQUE (trial_id, objective),
  FOREIGN KEY(trial_id) REFERENCES trials (trial_id));
CREATE TABLE trial_intermediate_values (
  trial_intermediate_value_id INTEGER NOT NULL, trial_id INTEGER NOT NULL, step INTEGER NOT NULL,
  intermediate_value FLOAT, intermediate_value_type VARCHAR(7) NOT NULL,
  PRIMARY KEY (trial_intermediate_value_id), UNIQUE (trial_id, step),
  FOREIGN KEY(trial_id) REFERENCES trials (trial_id));
CREATE TABLE trial_heartbeats (
  trial_heartbeat_id INTEGER NOT NULL, trial_id INTEGER NOT NULL, heartbeat DATETIME NOT NULL,
  PRIMARY KEY (trial_heartbeat_id), UNIQUE (trial_id),
  FOREIGN KEY(trial_id) REFERENCES trials (trial_id));
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO version_info VALUES (1, 12, '5.0.0');
INSERT INTO alembic_version VALUES ('v3.2.0.a');
)sql";

constexpr int kStudyId = 1;

int trial_id(int number) { return number + 1; }

const char* optuna_state(TrialState state) {
  switch (state) {
    case TrialState::waiting:
      return "WAITING";
    case TrialState::running:
    case TrialState::paused:
      return "RUNNING";
    case TrialState::complete:
      return "COMPLETE";
    case TrialState::stopped:
      return "PRUNED";
    case TrialState::failed:
    case TrialState::invalid:
      return "FAIL";
  }
  return "FAIL";
}

std::string datetime(Microseconds wall) {
  const auto second = std::chrono::floor<std::chrono::seconds>(wall);
  const std::time_t time = second.count();
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:06}", fmt::gmtime(time), (wall - second).count());
}

// JSON has no NaN; viewers in a browser refuse Python's spelling of it.
Json number_json(double number) {
  return std::isfinite(number) ? Json(number) : Json(fmt::format("{}", number));
}

Json value_json(const Value& value) {
  return std::visit(
      [](const auto& alternative) -> Json {
        if constexpr (std::is_same_v<std::decay_t<decltype(alternative)>, double>) {
          return number_json(alternative);
        } else {
          return alternative;
        }
      },
      value);
}

// Optuna wants a range's high to be one of its steps.
struct DistributionJson {
  Json operator()(const FloatDomain& domain) const {
    double high = domain.high;
    if (domain.step) {
      const double steps = std::floor((domain.high - domain.low) / *domain.step + 1e-9);
      high = std::min(high, domain.low + steps * *domain.step);
    }
    return {{"name", "FloatDistribution"},
            {"attributes",
             {{"step", domain.step ? Json(*domain.step) : Json(nullptr)},
              {"low", domain.low},
              {"high", high},
              {"log", domain.log}}}};
  }
  Json operator()(const IntDomain& domain) const {
    const std::int64_t high = domain.low + (domain.high - domain.low) / domain.step * domain.step;
    return {
        {"name", "IntDistribution"},
        {"attributes", {{"log", domain.log}, {"step", domain.step}, {"low", domain.low}, {"high", high}}}};
  }
  Json operator()(const ChoiceDomain& domain) const {
    Json choices = Json::array();
    for (const Value& choice : domain.choices) {
      choices.push_back(value_json(choice));
    }
    return {{"name", "CategoricalDistribution"}, {"attributes", {{"choices", choices}}}};
  }
};

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// Leaves the statement ready for the next row, also when this one failed.
void run(SQLite::Statement& statement) {
  struct Reset {
    SQLite::Statement& statement;
    ~Reset() { statement.tryReset(); }
  } reset{statement};
  statement.exec();
}

}  // namespace

void OptunaTables::create(SQLite::Database& database) { database.exec(kSchema); }

OptunaTables::OptunaTables(SQLite::Database& database)
    : database_(database),
      add_trial_(database,
                 "INSERT INTO trials (trial_id, number, study_id, state) VALUES (?, ?, ?, 'WAITING')"),
      add_parameter_(database,
                     "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) "
                     "VALUES (?, ?, ?, ?)"),
      add_report_(database,
                  "INSERT INTO trial_intermediate_values "
                  "(trial_id, step, intermediate_value, intermediate_value_type) VALUES (?, ?, ?, ?)"),
      update_trial_(database,
                    "UPDATE trials SET state = ?, datetime_start = ?, datetime_complete = ? "
                    "WHERE trial_id = ?"),
      set_value_(database,
                 "INSERT INTO trial_values (trial_id, objective, value, value_type) "
                 "VALUES (?, ?, ?, 'FINITE') "
                 "ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value"),
      set_trial_attribute_(database,
                           "INSERT INTO trial_user_attributes (trial_id, \"key\", value_json) "
                           "VALUES (?, ?, ?) "
                           "ON CONFLICT (trial_id, \"key\") DO UPDATE SET value_json = excluded.value_json"),
      set_study_attribute_(database,
                           "INSERT INTO study_user_attributes (study_id, \"key\", value_json) "
                           "VALUES (?, ?, ?) "
                           "ON CONFLICT (study_id, \"key\") DO UPDATE SET value_json = excluded.value_json") {
}

void OptunaTables::add_study(const Experiment& experiment) {
  SQLite::Statement add(database_, "INSERT INTO studies VALUES (?, ?)");
  add.bind(1, kStudyId);
  add.bind(2, experiment.name);
  add.exec();
  SQLite::Statement add_direction(
      database_, "INSERT INTO study_directions (direction, study_id, objective) VALUES (?, ?, ?)");
  Json names = Json::array();
  for (std::size_t i = 0; i < experiment.objectives.size(); ++i) {
    const Objective& objective = experiment.objectives[i];
    add_direction.bind(1, objective.direction == Direction::maximize ? "MAXIMIZE" : "MINIMIZE");
    add_direction.bind(2, kStudyId);
    add_direction.bind(3, static_cast<int>(i));
    run(add_direction);
    names.push_back(objective.metric);
  }
  SQLite::Statement add_names(database_,
                              "INSERT INTO study_system_attributes (study_id, \"key\", value_json) "
                              "VALUES (?, 'study:metric_names', ?)");
  add_names.bind(1, kStudyId);
  add_names.bind(2, text_of(names));
  add_names.exec();
  set_study_attribute("dashboard:objective_names", text_of(names));
}

void OptunaTables::add_trial(const Experiment& experiment, const TrialProposed& event) {
  add_trial_.bind(1, trial_id(event.trial));
  add_trial_.bind(2, event.trial);
  add_trial_.bind(3, kStudyId);
  run(add_trial_);
  const auto& parameters = experiment.space.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!event.point.at(i)) {
      continue;  // inactive here
    }
    add_parameter_.bind(1, trial_id(event.trial));
    add_parameter_.bind(2, parameters[i].name);
    add_parameter_.bind(3, *event.point[i]);
    add_parameter_.bind(4, text_of(std::visit(DistributionJson{}, parameters[i].domain)));
    run(add_parameter_);
  }
}

void OptunaTables::add_report(const Experiment& experiment, const Reported& event) {
  const double* value = find_metric(event.metrics, experiment.objectives.front().metric);
  if (value == nullptr) {
    return;
  }
  add_report_.bind(1, trial_id(event.trial));
  add_report_.bind(2, event.epoch);
  if (std::isfinite(*value)) {
    add_report_.bind(3, *value);
    add_report_.bind(4, "FINITE");
  } else {
    add_report_.bind(3);
    add_report_.bind(4, std::isnan(*value) ? "NAN" : (*value > 0 ? "INF_POS" : "INF_NEG"));
  }
  run(add_report_);
}

void OptunaTables::update_trial(const Experiment& experiment, const Trial& trial, const TrialRecord& record) {
  const bool ended = has_ended(trial.state);
  // Optuna wants a start of every trial that does not wait; one may end before it ever ran.
  const Microseconds started = record.started > Microseconds{0} ? record.started : record.ended;
  update_trial_.bind(1, optuna_state(trial.state));
  if (started > Microseconds{0}) {
    update_trial_.bind(2, datetime(started));
  } else {
    update_trial_.bind(2);
  }
  if (ended) {
    update_trial_.bind(3, datetime(record.ended));
  } else {
    update_trial_.bind(3);
  }
  update_trial_.bind(4, trial_id(trial.number));
  run(update_trial_);
  if (trial.state == TrialState::complete || trial.state == TrialState::stopped) {
    for (std::size_t i = 0; i < trial.values.size(); ++i) {
      set_value_.bind(1, trial_id(trial.number));
      set_value_.bind(2, static_cast<int>(i));
      set_value_.bind(3, in_user_direction(experiment.objectives[i], trial.values[i]));
      run(set_value_);
    }
  }
  if (!record.reports.empty()) {
    for (const auto& [name, value] : record.reports.back().metrics) {
      set_trial_attribute(trial.number, name, text_of(number_json(value)));
    }
  }
  if (ended) {  // also when empty: a trial that failed and was retried has an old one
    set_trial_attribute(trial.number, "message", text_of(record.message));
  }
}

void OptunaTables::set_trial_attribute(int trial, const std::string& key, const std::string& value_json) {
  set_trial_attribute_.bind(1, trial_id(trial));
  set_trial_attribute_.bind(2, key);
  set_trial_attribute_.bind(3, value_json);
  run(set_trial_attribute_);
}

void OptunaTables::set_study_attribute(const std::string& key, const std::string& value_json) {
  set_study_attribute_.bind(1, kStudyId);
  set_study_attribute_.bind(2, key);
  set_study_attribute_.bind(3, value_json);
  run(set_study_attribute_);
}

void OptunaTables::set_study_metrics(const std::string& key, const Metrics& metrics) {
  Json json = Json::object();
  for (const auto& [name, value] : metrics) {
    json[name] = number_json(value);
  }
  set_study_attribute(key, text_of(json));
}

}  // namespace regatta
