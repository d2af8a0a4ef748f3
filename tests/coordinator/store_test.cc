// The store: what a study leaves on disk, after any end.
#include "coordinator/store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "coordinator/database_copy.h"
#include "store_kit.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSearch = "scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 12}";
constexpr SimulationOptions kFailing{.crews = 3, .seed = 3, .mean_seconds_to_failure = 60};

std::string text_at(SQLite::Database& database, const std::string& query) {
  return database.execAndGet(query).getString();
}

TEST(Store, GivesBackTheExperimentAndEveryEvent) {
  StoredRace race(kSearch);
  race.run(kFailing);
  const auto loaded = race.store().load();
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(describe(loaded->events), describe(race.log()));
  EXPECT_EQ(loaded->experiment_file, "kit.yaml");
  const auto experiment = parse_experiment(loaded->experiment_yaml, loaded->experiment_file);
  ASSERT_TRUE(experiment.ok()) << experiment.error().message;
  EXPECT_EQ(describe(*replayed(*experiment, {}, loaded->events)), describe(race.study()));
}

TEST(Store, CanBeReadWhileItIsWritten) {
  StoredRace race(kSearch);
  int transactions = 0;
  int reads = 0;
  race.run({.crews = 2}, [&] {
    if (++transactions % 10 == 0) {
      const auto read = Store::read(race.folder());
      ASSERT_TRUE(read.ok()) << read.error().message;
      EXPECT_EQ(read->events.size(), race.log().size());
      ++reads;
    }
  });
  EXPECT_GT(reads, 2);
}

TEST(Store, ACopyOfTheFileAtAnyTimeIsTheStudyUpToThere) {
  StoredRace race(kSearch);
  race.run(kFailing, [&] {
    if (race.log().size() % 10 != 0) {
      return;
    }
    const auto copy = TemporaryDirectory::make();
    ASSERT_TRUE(copy.ok());
    std::filesystem::copy_file(race.database(), copy->path() / "study.db");
    const auto store = Store::open(copy->path());
    ASSERT_TRUE(store.ok()) << store.error().message;
    EXPECT_EQ(describe((*store)->load()->events), describe(race.log()));
  });
}

TEST(Store, AReopenedStoreIsWrittenOnAndTrialsThatEndedBetweenAreKept) {
  StoredRace race(kSearch);
  race.run({.crews = 2});
  race.close_store();
  auto store = Store::open(race.folder());
  ASSERT_TRUE(store.ok()) << store.error().message;
  auto study = replayed(race.experiment(), {}, (*store)->load()->events);
  const std::vector<TimedEvent> resumed = {{.at = race.log().back().at, .event = StudyResumed{}}};
  study->replay(resumed.front());
  ASSERT_TRUE((*store)->append(resumed, *study).ok());
  EXPECT_EQ((*store)->load()->events.size(), race.log().size() + 1);
}

TEST(Store, EachTrialsRowsFollowItsState) {
  StoredRace race("scheduler: {type: fifo, max_epochs: 2}, stop: {trials: 9}");
  Microseconds now = std::chrono::hours(24);
  const auto tell = [&](const Input& input) {
    now += Microseconds(1'500'000);
    const Reaction reaction = race.study().handle(input, now);
    ASSERT_TRUE(race.store().append(reaction.events, race.study()).ok());
  };
  tell(CrewJoined{.crew = "a", .lanes = 5});
  tell(ReportReceived{.crew = "a", .attempt = 1, .epoch = 1, .metrics = {{"loss", 0.5}, {"f1", 0.25}}});
  tell(ReportReceived{.crew = "a", .attempt = 1, .epoch = 2, .metrics = {{"loss", 0.75}, {"f1", 0.5}}});
  tell(ReportReceived{.crew = "a", .attempt = 2, .epoch = 1, .metrics = {{"loss", std::nan("")}}});
  tell(AttemptFinished{.crew = "a", .attempt = 3, .outcome = Outcome::invalid, .message = "too \"deep\""});
  SQLite::Database database(race.database());
  EXPECT_EQ(text_at(database, "SELECT group_concat(state) FROM (SELECT state FROM trials ORDER BY number)"),
            "COMPLETE,FAIL,FAIL,RUNNING,RUNNING,RUNNING,RUNNING,RUNNING");
  EXPECT_EQ(text_at(database, "SELECT datetime_start FROM trials WHERE number = 0"),
            "1970-01-02 00:00:01.500000");
  EXPECT_EQ(text_at(database, "SELECT datetime_complete FROM trials WHERE number = 0"),
            "1970-01-02 00:00:04.500000");
  EXPECT_EQ(text_at(database, "SELECT group_concat(value || value_type) FROM trial_values"), "0.5FINITE");
  EXPECT_EQ(text_at(database,
                    "SELECT group_concat(step || ':' || coalesce(intermediate_value, 'NULL') || "
                    "intermediate_value_type) FROM trial_intermediate_values"),
            "1:0.5FINITE,2:0.75FINITE,1:NULLNAN");
  EXPECT_EQ(
      text_at(database, "SELECT value_json FROM trial_user_attributes WHERE trial_id = 1 AND key = 'f1'"),
      "0.5");
  EXPECT_EQ(text_at(database,
                    "SELECT value_json FROM trial_user_attributes WHERE trial_id = 3 AND key = 'message'"),
            R"("too \"deep\"")");
}

TEST(Store, ARetriedTrialThatCompletesLosesItsOldMessage) {
  StoredRace race("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 1}");
  Microseconds now = std::chrono::hours(24);
  std::vector<TimedEvent> log;
  const auto store = [&](const Reaction& reaction, const Study& study) {
    now += Microseconds(1'000'000);
    log.insert(log.end(), reaction.events.begin(), reaction.events.end());
    ASSERT_TRUE(race.store().append(reaction.events, study).ok());
  };
  const auto message = [&] {
    SQLite::Database database(race.database());
    return text_at(database, "SELECT value_json FROM trial_user_attributes WHERE key = 'message'");
  };
  store(race.study().handle(CrewJoined{.crew = "a"}, now), race.study());
  store(race.study().handle(
            AttemptFinished{.crew = "a", .attempt = 1, .outcome = Outcome::failed, .message = "disk full"},
            now),
        race.study());
  EXPECT_EQ(message(), R"("disk full")");
  const auto study = replayed(race.experiment(), {.evaluate_best = false}, log);
  store(study->resume(true, now), *study);
  store(study->handle(CrewJoined{.crew = "b"}, now), *study);
  store(study->handle(ReportReceived{.crew = "b", .attempt = 2, .epoch = 1, .metrics = {{"loss", 0.5}}}, now),
        *study);
  EXPECT_EQ(study->trials()[0].state, TrialState::complete);
  EXPECT_EQ(message(), R"("")");
}

TEST(Store, ARunningStudyIsOneTransactionBehindAtMostWhenItsProcessIsKilled) {
  for (int round = 0; round < 8; ++round) {
    const auto folder = TemporaryDirectory::make();
    ASSERT_TRUE(folder.ok());
    std::array<int, 2> pipe_ends{};
    ASSERT_EQ(pipe(pipe_ends.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      const Experiment experiment = make_experiment(kSearch);
      auto store = Store::create(folder->path(), experiment);
      const auto study = make_study(experiment);
      SimulatedCrews crews(experiment, kFailing);
      for (std::size_t stored = 0; !study->ended();) {
        const Reaction reaction = study->handle(*crews.next(), crews.now());
        if (!(*store)->append(reaction.events, *study).ok()) {
          _exit(1);
        }
        stored += reaction.events.size();
        static_cast<void>(write(pipe_ends[1], &stored, sizeof stored));
        for (const Command& command : reaction.commands) {
          crews.carry_out(command);
        }
      }
      _exit(0);
    }
    close(pipe_ends[1]);
    std::size_t acknowledged = 0;
    for (int i = 0; i < 3 + 4 * round; ++i) {
      ASSERT_EQ(read(pipe_ends[0], &acknowledged, sizeof acknowledged), ssize_t{sizeof acknowledged});
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(pipe_ends[0]);

    const auto seen = Store::read(folder->path());
    ASSERT_TRUE(seen.ok()) << seen.error().message;
    const auto store = Store::open(folder->path());
    ASSERT_TRUE(store.ok()) << store.error().message;
    const auto loaded = (*store)->load();
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(describe(seen->events), describe(loaded->events));
    EXPECT_GE(loaded->events.size(), acknowledged);
    const Experiment experiment = make_experiment(kSearch);
    const auto study = replayed(experiment, {}, loaded->events);
    SQLite::Database database(folder->path() / "study.db");
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM trials").getInt64(),
              static_cast<std::int64_t>(study->trials().size()));
  }
}

TEST(Store, AJournalLeftByADeadCoordinatorDoesNotKeepReadersOut) {
  StoredRace race(kSearch);
  race.run({.crews = 1});
  race.close_store();
  const auto before = Store::read(race.folder());
  ASSERT_TRUE(before.ok());
  const pid_t child = fork();
  if (child == 0) {
    SQLite::Database database(race.database(), SQLite::OPEN_READWRITE);
    database.exec("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN");
    database.exec("UPDATE regatta_events SET body = body || hex(randomblob(2000))");
    kill(getpid(), SIGKILL);  // parts of the transaction are in the file already
  }
  waitpid(child, nullptr, 0);
  ASSERT_GT(std::filesystem::file_size(race.database().string() + "-journal"), 0u);
  const auto after = Store::read(race.folder());
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_EQ(describe(after->events), describe(before->events));
}

TEST(Store, WhoseLockAnotherHostHasTakenOverWritesNothingMore) {
  StoredRace race("scheduler: {type: fifo, max_epochs: 2}, stop: {trials: 2}");
  const Reaction first = race.study().handle(CrewJoined{.crew = "a"}, std::chrono::hours(1));
  ASSERT_TRUE(race.store().append(first.events, race.study()).ok());
  const auto lock = race.folder() / "study.lock";
  std::filesystem::remove(lock);
  ASSERT_TRUE(write_file_atomically(lock, "node17 4711 5 a-boot/pid:[1] 000000000001\n").ok());
  const auto before = read_file(race.database());
  const Reaction second = race.study().handle(CrewJoined{.crew = "b"}, std::chrono::hours(2));
  ASSERT_FALSE(second.events.empty());
  const Status appended = race.store().append(second.events, race.study());
  ASSERT_FALSE(appended.ok());
  EXPECT_THAT(appended.error().message, HasSubstr("node17"));
  EXPECT_TRUE(race.store().lost_lock());
  EXPECT_FALSE(race.store().close().ok());
  EXPECT_EQ(*read_file(race.database()), *before);
  EXPECT_TRUE(std::filesystem::exists(lock)) << "it is the other host's";
}

TEST(Store, HeldByAProcessThatStandsStillInAWriteIsARemedy) {
  StoredRace race(kSearch);
  race.run({.crews = 2});
  race.close_store();
  SQLite::Database stopped(race.database().string(), SQLite::OPEN_READWRITE);
  stopped.exec("BEGIN IMMEDIATE");
  const auto refused = Store::open(race.folder(), {.patience = std::chrono::milliseconds(50)});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("database is locked, by a process in the midst of a write"));
  stopped.exec("ROLLBACK");
  EXPECT_TRUE(Store::open(race.folder()).ok());
}

TEST(Store, CanBeReadByCopyWhileAnotherProcessWritesAsIfThereWereNoLocks) {
  const auto folder = TemporaryDirectory::make();
  const auto path = folder->path() / "numbers.db";
  {
    SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database.exec("CREATE TABLE pages (id INTEGER PRIMARY KEY, round INTEGER, filler TEXT)");
    for (int i = 0; i < 60; ++i) {
      database.exec("INSERT INTO pages (round, filler) VALUES (0, hex(zeroblob(1500)))");
    }
  }
  const pid_t child = fork();
  if (child == 0) {
    SQLite::Database database("file:" + path.string() + "?nolock=1",
                              SQLite::OPEN_READWRITE | SQLite::OPEN_URI);
    database.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF; PRAGMA cache_size = 4");
    while (true) {
      database.exec("UPDATE pages SET round = round + 1");  // every page, in parts
      ::usleep(3000);
    }
  }
  for (int copies = 0; copies < 10; ++copies) {
    const auto copied = copy_database(path);
    ASSERT_TRUE(copied.ok()) << copied.error().message;
    SQLite::Database database(copied->path() / "numbers.db", SQLite::OPEN_READWRITE);
    EXPECT_EQ(text_at(database, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(database.execAndGet("SELECT count(DISTINCT round) FROM pages").getInt(), 1);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(Store, AFolderWithoutAStudyIsASentenceWithARemedy) {
  const auto folder = TemporaryDirectory::make();
  for (const auto& error : {Store::open(folder->path()).error(), Store::read(folder->path()).error()}) {
    EXPECT_EQ(error.kind, Error::Kind::user_mistake);
    EXPECT_THAT(error.message, HasSubstr("regatta run"));
  }
}

TEST(Store, ASecondStudyInTheSameFolderIsRefused) {
  StoredRace race(kSearch);
  race.close_store();
  const auto second = Store::create(race.folder(), race.experiment());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(second.error().message, HasSubstr("regatta resume"));
  EXPECT_TRUE(Store::open(race.folder()).ok()) << "the refusal took no lock with it";
}

TEST(Store, AMakingThatWasCutShortIsMadeAgain) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(write_file_atomically(folder->path() / "study.db", "").ok());
  EXPECT_TRUE(Store::create(folder->path(), make_experiment(kSearch)).ok());
}

TEST(Store, AFileThatIsNoDatabaseIsAnError) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(write_file_atomically(folder->path() / "study.db", std::string(5000, 'x')).ok());
  EXPECT_FALSE(Store::read(folder->path()).ok());
  EXPECT_FALSE(Store::open(folder->path()).ok());
}

TEST(Store, ANewerFormatIsRefusedByName) {
  StoredRace race(kSearch);
  race.close_store();
  SQLite::Database(race.database(), SQLite::OPEN_READWRITE)
      .exec("UPDATE regatta_study SET value = '99' WHERE key = 'format'");
  const auto store = Store::open(race.folder());
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(store.error().message, HasSubstr("format 99"));
}

TEST(Store, AClosedStoreLeavesOneFileWithoutAJournalOrLock) {
  StoredRace race(kSearch);
  race.run({.crews = 1});
  race.close_store();
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(race.folder())) {
    names.push_back(entry.path().filename());
  }
  EXPECT_THAT(names, ElementsAre("study.db"));
  SQLite::Database database(race.database());
  EXPECT_EQ(text_at(database, "PRAGMA journal_mode"), "delete");
}

}  // namespace
}  // namespace regatta
