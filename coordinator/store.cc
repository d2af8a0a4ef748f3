// Events and Optuna's rows in one transaction after another.
#include "coordinator/store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "coordinator/database_copy.h"
#include "coordinator/database_file.h"
#include "coordinator/optuna_tables.h"

namespace regatta {
namespace {

constexpr int kFormat = 1;  // of our tables and the events' bodies

constexpr const char* kSchema = R"sql(
CREATE TABLE regatta_study (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE regatta_events (
  seq INTEGER NOT NULL PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);
)sql";

std::filesystem::path database_path(const std::filesystem::path& folder) { return folder / "study.db"; }

Error store_failure(const std::filesystem::path& path, const char* doing, const std::exception& exception) {
  const auto* const of_database = dynamic_cast<const SQLite::Exception*>(&exception);
  const bool is_held = of_database != nullptr && of_database->getErrorCode() == SQLITE_BUSY;
  return failure(fmt::format(
      "cannot {} {}: {}{}", doing, path.string(), exception.what(),
      is_held ? ", by a process in the midst of a write, maybe a coordinator that was stopped; end that one "
                "('fuser' on its host finds it) and try again"
              : ""));
}

std::optional<std::string> find_value(const SQLite::Database& database, const std::string& key) {
  SQLite::Statement find(database, "SELECT value FROM regatta_study WHERE key = ?");
  find.bind(1, key);
  return find.executeStep() ? std::optional(find.getColumn(0).getString()) : std::nullopt;
}

void set_value(SQLite::Database& database, const std::string& key, const std::string& value) {
  SQLite::Statement set(database,
                        "INSERT INTO regatta_study (key, value) VALUES (?, ?) "
                        "ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  set.bind(1, key);
  set.bind(2, value);
  set.exec();
}

int int_of(const std::optional<std::string>& text) {
  int number = 0;
  if (text) {
    std::from_chars(text->data(), text->data() + text->size(), number);
  }
  return number;
}

// False: there is no study in the file, for example because its making was cut short.
Result<bool> check_format(const SQLite::Database& database, const std::filesystem::path& path) {
  if (!database.tableExists("regatta_study")) {
    return false;
  }
  const int format = int_of(find_value(database, "format"));
  if (format != kFormat) {
    return user_mistake(fmt::format(
        "{} has format {}, but this version of regatta reads format {}; use the version that made it",
        path.string(), format, kFormat));
  }
  return true;
}

Error no_study(const std::filesystem::path& path) {
  return user_mistake(fmt::format("there is no study in {}; start one with: regatta run EXPERIMENT.yaml",
                                  path.parent_path().string()));
}

// Within a transaction, so that all is of one moment.
Result<StoredStudy> load_from(SQLite::Database& database) {
  StoredStudy stored{.experiment_yaml = find_value(database, "experiment_yaml").value_or(""),
                     .experiment_file = find_value(database, "experiment_file").value_or(""),
                     .learned = find_value(database, "learned").value_or("")};
  SQLite::Statement all(database, "SELECT at_us, kind, body FROM regatta_events ORDER BY seq");
  while (all.executeStep()) {
    ASSIGN_OR_RETURN(Event event,
                     decode({.kind = all.getColumn(1).getString(), .body = all.getColumn(2).getString()}));
    note_progress();
    stored.events.push_back({.at = Microseconds(all.getColumn(0).getInt64()), .event = std::move(event)});
  }
  return stored;
}

Result<StoredStudy> load_from_copy(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const TemporaryDirectory folder, copy_database(path));
  const auto database =
      open_database(folder.path() / path.filename(), DatabaseAccess::write, kWriterPatience);
  SQLite::Transaction snapshot(*database);
  ASSIGN_OR_RETURN(const bool exists, check_format(*database, path));
  return exists ? load_from(*database) : Result<StoredStudy>(no_study(path));
}

// nullopt: the writer was not kept out meanwhile, by locks that hold on its own host only.
Result<std::optional<StoredStudy>> load_in_place(const std::filesystem::path& path) {
  const auto database = open_database(path, DatabaseAccess::read, kReaderPatience);
  SQLite::Transaction snapshot(*database);
  ASSIGN_OR_RETURN(const bool exists, check_format(*database, path));
  if (!exists) {
    return no_study(path);
  }
  const auto before = change_counter(*database);
  ASSIGN_OR_RETURN(StoredStudy stored, load_from(*database));
  return change_counter(*database) == before ? std::optional(std::move(stored)) : std::nullopt;
}

}  // namespace

class Store::Implementation {
 public:
  Implementation(std::filesystem::path path, StudyLock lock, std::unique_ptr<SQLite::Database> database)
      : path_(std::move(path)),
        lock_(std::move(lock)),
        database_(std::move(database)),
        tables_(*database_),
        add_event_(*database_, "INSERT INTO regatta_events (seq, at_us, kind, body) VALUES (?, ?, ?, ?)"),
        events_(database_->execAndGet("SELECT coalesce(max(seq), 0) FROM regatta_events").getInt64()),
        ended_trials_(int_of(find_value(*database_, "ended_trials"))) {}

  const std::filesystem::path& path() const { return path_; }
  SQLite::Database& database() const { return *database_; }

  StudyLock& lock() { return lock_; }
  void append(std::span<const TimedEvent> events, const Study& study);
  void close();

 private:
  void check_lock();
  void add_event(const TimedEvent& event);
  void add_rows(const Event& event, const Study& study, std::set<int>& touched);

  std::filesystem::path path_;
  StudyLock lock_;
  std::unique_ptr<SQLite::Database> database_;
  OptunaTables tables_;
  SQLite::Statement add_event_;
  std::int64_t events_;  // stored
  int ended_trials_;     // of Study::ended_trials(), written
};

void Store::Implementation::append(std::span<const TimedEvent> events, const Study& study) {
  const std::int64_t events_before = events_;
  try {
    SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
    check_lock();  // with SQLite's lock held, where that works, and before its journal is touched
    std::set<int> touched;
    for (const TimedEvent& event : events) {
      add_event(event);
      add_rows(event.event, study, touched);
    }
    // Trials also end by what follows from an event about others: dropped by the scheduler, or with the
    // study.
    const auto ended = study.ended_trials();
    touched.insert(ended.begin() + ended_trials_, ended.end());
    for (const int trial : touched) {
      const auto index = static_cast<std::size_t>(trial);
      tables_.update_trial(study.experiment(), study.trials()[index], study.records()[index]);
    }
    if (ended_trials_ != static_cast<int>(ended.size())) {
      set_value(*database_, "ended_trials", std::to_string(ended.size()));
    }
    transaction.commit();
    ended_trials_ = static_cast<int>(ended.size());
  } catch (...) {
    events_ = events_before;
    throw;
  }
}

void Store::Implementation::check_lock() {
  if (const Status own = lock_.check(); !own.ok()) {
    throw std::runtime_error(own.error().message);
  }
}

void Store::Implementation::add_event(const TimedEvent& event) {
  const EncodedEvent encoded = encode(event.event);
  struct Reset {
    SQLite::Statement& statement;
    ~Reset() { statement.tryReset(); }
  } reset{add_event_};
  add_event_.bind(1, ++events_);
  add_event_.bind(2, static_cast<std::int64_t>(event.at.count()));
  add_event_.bind(3, encoded.kind);
  add_event_.bind(4, encoded.body);
  add_event_.exec();
}

// The rows that an event adds; the trials whose state may have changed are written once, at the end.
void Store::Implementation::add_rows(const Event& event, const Study& study, std::set<int>& touched) {
  if (const auto* proposed = std::get_if<TrialProposed>(&event)) {
    tables_.add_trial(study.experiment(), *proposed);
    touched.insert(proposed->trial);
  } else if (const auto* started = std::get_if<AttemptStarted>(&event)) {
    touched.insert(started->trial);
  } else if (const auto* reported = std::get_if<Reported>(&event)) {
    tables_.add_report(study.experiment(), *reported);
    touched.insert(reported->trial);
  } else if (const auto* attempt = std::get_if<AttemptEnded>(&event)) {
    touched.insert(attempt->trial);
  } else if (const auto* test = std::get_if<TestMeasured>(&event)) {
    tables_.set_study_attribute("test_trial", std::to_string(test->trial));
    tables_.set_study_attribute("test_model", nlohmann::json(test->model).dump());
    tables_.set_study_metrics("test_metrics", test->metrics);
  } else if (const auto* ended = std::get_if<StudyEnded>(&event)) {
    tables_.set_study_attribute("ended", nlohmann::json(to_string(ended->reason)).dump());
    tables_.set_study_attribute("message", nlohmann::json(valid_text(ended->message)).dump());
  } else if (const auto* resumed = std::get_if<StudyResumed>(&event)) {
    tables_.set_study_attribute("ended", "null");
    if (resumed->retry_failed) {
      for (const Trial& trial : study.trials()) {
        touched.insert(trial.number);
      }
    }
  }
}

void Store::Implementation::close() {
  check_lock();
  database_->exec("PRAGMA journal_mode = DELETE");
  lock_.release();
}

Store::Store(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::create(const std::filesystem::path& folder,
                                             const Experiment& experiment, std::string_view learned) {
  RETURN_IF_ERROR(make_directories(folder));
  const auto path = database_path(folder);
  ASSIGN_OR_RETURN(StudyLock lock, StudyLock::take(folder));
  try {
    auto database = open_database(path, DatabaseAccess::create, kWriterPatience);
    ASSIGN_OR_RETURN(const bool exists, check_format(*database, path));
    if (exists) {
      return user_mistake(
          fmt::format("there is a study in {} already; go on with it: regatta resume {}, or give the new one "
                      "another name",
                      folder.string(), folder.string()));
    }
    SQLite::Transaction transaction(*database, SQLite::TransactionBehavior::IMMEDIATE);
    database->exec(kSchema);
    OptunaTables::create(*database);
    OptunaTables(*database).add_study(experiment);
    set_value(*database, "format", std::to_string(kFormat));
    set_value(*database, "experiment_yaml", to_yaml(experiment.root));
    set_value(*database, "experiment_file", experiment.root.place().file);
    if (!learned.empty()) {
      set_value(*database, "learned", std::string(learned));
    }
    transaction.commit();
    return std::unique_ptr<Store>(
        new Store(std::make_unique<Implementation>(path, std::move(lock), std::move(database))));
  } catch (const std::exception& exception) {
    return store_failure(path, "make", exception);
  }
}

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& folder,
                                           const StudyLockOptions& options) {
  const auto path = database_path(folder);
  if (!std::filesystem::exists(path)) {
    return no_study(path);
  }
  ASSIGN_OR_RETURN(StudyLock lock, StudyLock::take(folder, options));
  try {
    auto database = open_database(path, DatabaseAccess::write, std::min(kWriterPatience, options.patience));
    ASSIGN_OR_RETURN(const bool exists, check_format(*database, path));
    if (!exists) {
      return no_study(path);
    }
    return std::unique_ptr<Store>(
        new Store(std::make_unique<Implementation>(path, std::move(lock), std::move(database))));
  } catch (const std::exception& exception) {
    return store_failure(path, "open", exception);
  }
}

Result<StoredStudy> Store::read(const std::filesystem::path& folder) {
  const auto path = database_path(folder);
  if (!std::filesystem::exists(path)) {
    return no_study(path);
  }
  try {
    ASSIGN_OR_RETURN(auto stored, load_in_place(path));
    if (stored) {
      return *std::move(stored);
    }
  } catch (const std::exception& exception) {
    // No locks, locks that do not hold, or the journal of a coordinator that died in a transaction, which
    // only a writer may roll back. What is wrong with the file itself is wrong with its copy too.
    spdlog::debug("reading a copy of {}: {}", path.string(), exception.what());
  }
  try {
    return load_from_copy(path);
  } catch (const std::exception& exception) {
    return store_failure(path, "read", exception);
  }
}

Result<StoredStudy> Store::load() const {
  try {
    SQLite::Transaction snapshot(implementation_->database());
    return load_from(implementation_->database());
  } catch (const std::exception& exception) {
    return store_failure(implementation_->path(), "read", exception);
  }
}

Status Store::append(std::span<const TimedEvent> events, const Study& study) {
  if (events.empty()) {
    return {};
  }
  try {
    implementation_->append(events, study);
    return {};
  } catch (const std::exception& exception) {
    return store_failure(implementation_->path(), "write to", exception);
  }
}

Status Store::close() {
  try {
    implementation_->close();
    return {};
  } catch (const std::exception& exception) {
    return store_failure(implementation_->path(), "close", exception);
  }
}

Status Store::keep_lock(Microseconds now) { return implementation_->lock().renew(now); }
bool Store::lost_lock() const { return implementation_->lock().is_lost(); }
const std::string& Store::lock_identity() const { return implementation_->lock().identity(); }

}  // namespace regatta
