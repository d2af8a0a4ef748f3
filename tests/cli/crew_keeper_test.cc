// Crews are kept running: restarts, back-off, giving up, taking over.
#include "cli/crew_keeper.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/host.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

struct FakeCrews {
  std::vector<std::string> started;
  std::vector<std::vector<int>> slots;  // of those
  std::vector<CrewExit> exits;          // for the next poll
  bool refuses_large = false;
  std::optional<long> process;  // of this host, that all of them end with
};

class FakeLauncher final : public Launcher {
 public:
  explicit FakeLauncher(FakeCrews& crews) : crews_(crews) {}
  Status start(const CrewSpec& crew) override {
    if (crews_.refuses_large && crew.slots.size() > 1) {
      return failure("no room for it");
    }
    crews_.started.push_back(crew.name);
    crews_.slots.push_back(crew.slots);
    return write_file_atomically(crew.log, "started\n");
  }
  std::optional<long> process_of(const std::string&) const override { return crews_.process; }
  std::vector<CrewExit> poll() override { return std::exchange(crews_.exits, {}); }
  void stop_all(Microseconds) override {}

 private:
  FakeCrews& crews_;
};

// A process that stands for a crew of an earlier session.
class Sleeper {
 public:
  Sleeper() : process_(::fork()) {
    if (process_ == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() {
    if (process_ != 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
  }
  pid_t id() const { return process_; }
  CrewRecord record(const std::string& crew) const {
    CrewRecord record = record_of_this_process(crew, false);
    record.process_id = process_;
    record.process_start = process_start(process_).value_or(0);
    record.process_group = 0;
    return record;
  }
  // Waits for the end where there is one soon.
  bool killed() {
    for (int i = 0; i < 100 && process_ != 0; ++i) {
      if (::waitpid(process_, nullptr, WNOHANG) == process_) {
        process_ = 0;
      }
      ::usleep(2000);
    }
    return process_ == 0;
  }

 private:
  pid_t process_;
};

class CrewKeeperTest : public testing::Test {
 protected:
  CrewKeeper make_keeper(int crews, bool restarts = true) {
    EXPECT_TRUE(make_directories(folder_.path() / "logs").ok());
    return {std::make_unique<FakeLauncher>(crews_),
            clock_,
            {.folder = folder_.path(), .crews = crews, .restarts = restarts}};
  }
  void pass(Microseconds time) { clock_.advance_to(clock_.monotonic() + time); }
  void die(const std::string& name) { crews_.exits = {{.name = name, .reason = name + ": killed"}}; }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  VirtualClock clock_;
  FakeCrews crews_;
};

TEST_F(CrewKeeperTest, StartsEveryCrewOnce) {
  CrewKeeper keeper = make_keeper(2);
  ASSERT_FALSE(keeper.tend({}).failure);
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-1.1"));
  EXPECT_TRUE(keeper.any_running());
}

TEST_F(CrewKeeperTest, StartsADeadCrewAgainUnderANewNameAfterAPause) {
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  die("crew-0.1");
  ASSERT_EQ(keeper.tend({}).exits.size(), 1U);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1"));
  pass(seconds(1));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-0.2"));
}

TEST_F(CrewKeeperTest, GivesUpOnACrewThatDiesFiveTimesAtItsStart) {
  CrewKeeper keeper = make_keeper(1);
  for (int death = 1; death <= 5; ++death) {
    pass(seconds(30));
    ASSERT_FALSE(keeper.tend({}).failure);
    die("crew-0." + std::to_string(death));
    const CrewKeeper::Tended tended = keeper.tend({});
    EXPECT_EQ(tended.failure.has_value(), death == 5);
    EXPECT_EQ(tended.exits.size(), 1U);
  }
}

TEST_F(CrewKeeperTest, DoesNotGiveUpOnASlotWhileOtherCrewsLive) {
  CrewKeeper keeper = make_keeper(2);
  for (int death = 1; death <= 7; ++death) {
    pass(seconds(60));
    ASSERT_FALSE(keeper.tend({"crew-1.1"}).failure);
    die("crew-0." + std::to_string(death));
    EXPECT_FALSE(keeper.tend({"crew-1.1", "crew-0." + std::to_string(death)}).failure);
  }
}

TEST_F(CrewKeeperTest, RecordsTheProcessOfACrewThatIsElsewhere) {
  const Sleeper mpirun;
  crews_.process = mpirun.id();
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  const auto records = read_crew_records(folder_.path());
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].crew, "crew-0.1");
  EXPECT_EQ(records[0].process_id, mpirun.id());
  EXPECT_EQ(life_of(records[0]), CrewLife::alive);
}

TEST_F(CrewKeeperTest, KillsACrewElsewhereThatIsNeverHeardOf) {
  Sleeper mpirun;
  crews_.process = mpirun.id();
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  pass(seconds(100));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_FALSE(mpirun.killed());
  pass(seconds(30));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_TRUE(mpirun.killed());
}

TEST_F(CrewKeeperTest, LeavesACrewElsewhereAloneThatWasHeardOfOnce) {
  Sleeper mpirun;
  crews_.process = mpirun.id();
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  ASSERT_FALSE(keeper.tend({"crew-0.1"}).failure);
  pass(seconds(600));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_FALSE(mpirun.killed());
}

TEST_F(CrewKeeperTest, WithoutRestartsGoesOnUntilNoCrewIsLeft) {
  CrewKeeper keeper = make_keeper(2, false);
  ASSERT_FALSE(keeper.tend({}).failure);
  die("crew-1.1");
  EXPECT_FALSE(keeper.tend({"crew-0.1"}).failure);
  pass(seconds(600));
  EXPECT_FALSE(keeper.tend({"crew-0.1"}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-1.1"));
  die("crew-0.1");
  const auto failure = keeper.tend({}).failure;
  ASSERT_TRUE(failure);
  EXPECT_THAT(failure->message, testing::HasSubstr("no crew is left; the last one: crew-0.1: killed"));
  EXPECT_THAT(failure->message, testing::HasSubstr("resume"));
}

TEST_F(CrewKeeperTest, ForgivesDeathsOnceACrewHasLived) {
  CrewKeeper keeper = make_keeper(1);
  for (int death = 1; death <= 12; ++death) {
    pass(seconds(30));
    ASSERT_FALSE(keeper.tend({}).failure);
    pass(death % 4 == 0 ? seconds(60) : seconds(1));
    die("crew-0." + std::to_string(death));
    EXPECT_FALSE(keeper.tend({}).failure);
  }
}

TEST_F(CrewKeeperTest, StartsACrewAgainThatEndedCleanlyWithWorkLeft) {
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  pass(seconds(600));
  crews_.exits = {{.name = "crew-0.1", .clean = true}};
  ASSERT_FALSE(keeper.tend({}).failure);
  pass(seconds(1));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-0.2"));
}

TEST_F(CrewKeeperTest, LeavesADismissedCrewAlone) {
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  keeper.wind_down();
  crews_.exits = {{.name = "crew-0.1", .clean = true}};
  ASSERT_FALSE(keeper.tend({}).failure);
  pass(seconds(60));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1"));
  EXPECT_FALSE(keeper.any_running());
}

TEST_F(CrewKeeperTest, NeverUsesANameTwice) {
  ASSERT_TRUE(make_directories(folder_.path() / "logs").ok());
  ASSERT_TRUE(write_file_atomically(folder_.path() / "logs" / "crew-0.7.log", "").ok());
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.8"));
}

TEST_F(CrewKeeperTest, TakesOverTheLivingAndReportsTheDead) {
  CrewRecord living = record_of_this_process("crew-0.3", false);
  CrewRecord dead = living;
  dead.crew = "crew-1.4";
  dead.process_start = -1;  // the process id belongs to another process by now
  ASSERT_TRUE(write_crew_record(folder_.path(), living).ok());
  ASSERT_TRUE(write_crew_record(folder_.path(), dead).ok());
  CrewKeeper keeper = make_keeper(2);
  const std::vector<CrewExit> gone = keeper.adopt();
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].name, "crew-1.4");
  EXPECT_TRUE(gone[0].preempted);
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-1.1"));
}

TEST_F(CrewKeeperTest, KillsOnlyTheAdoptedCrewThatHasNotComeBack) {
  Sleeper back;
  Sleeper stuck;
  ASSERT_TRUE(write_crew_record(folder_.path(), back.record("crew-0.1")).ok());
  ASSERT_TRUE(write_crew_record(folder_.path(), stuck.record("crew-1.1")).ok());
  CrewKeeper keeper = make_keeper(3);
  ASSERT_THAT(keeper.adopt(), IsEmpty());
  ASSERT_THAT(keeper.tend({"crew-0.1", "crew-2.1"}).exits, IsEmpty());
  pass(seconds(46));
  // It may be gone by the time that the same tend looks for it, or only by the next.
  std::vector<CrewExit> exits = keeper.tend({"crew-0.1", "crew-2.1"}).exits;
  EXPECT_TRUE(stuck.killed());
  const std::vector<CrewExit> later = keeper.tend({"crew-0.1", "crew-2.1"}).exits;
  exits.insert(exits.end(), later.begin(), later.end());
  ASSERT_EQ(exits.size(), 1U);
  EXPECT_EQ(exits[0].name, "crew-1.1");
  pass(seconds(60));
  EXPECT_THAT(keeper.tend({}).exits, IsEmpty());
  EXPECT_FALSE(back.killed());
}

TEST_F(CrewKeeperTest, TellsWhichCrewsHadToBeStopped) {
  CrewKeeper keeper = make_keeper(2);
  ASSERT_FALSE(keeper.tend({}).failure);
  die("crew-0.1");
  ASSERT_FALSE(keeper.tend({}).failure);
  const std::vector<CrewExit> ended = keeper.stop_all(seconds(0));
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].name, "crew-1.1");
  EXPECT_TRUE(ended[0].preempted);
}

TEST_F(CrewKeeperTest, KeepsTheRecordsOfStoppedCrewsUntilTheStudyHasStoredTheirEnds) {
  ASSERT_TRUE(write_crew_record(folder_.path(), record_of_group("crew-0.1", getpid())).ok());
  CrewKeeper keeper = make_keeper(1);
  ASSERT_FALSE(keeper.tend({}).failure);
  const std::vector<CrewExit> ended = keeper.stop_all(seconds(0));
  EXPECT_THAT(read_crew_records(folder_.path()), SizeIs(1));
  keeper.forget(ended);
  EXPECT_THAT(read_crew_records(folder_.path()), IsEmpty());
}

TEST_F(CrewKeeperTest, StartsALargeCrewWhileTheOldOnesRunOnAndDoesNotStartThoseAgain) {
  CrewKeeper keeper = make_keeper(3);
  ASSERT_FALSE(keeper.tend({}).failure);
  keeper.reshape({{0, 2}});
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-1.1", "crew-2.1", "crew-0.2"));
  EXPECT_THAT(crews_.slots.back(), ElementsAre(0, 2));
  EXPECT_THAT(keeper.slots_of("crew-0.1"), ElementsAre(0));
  EXPECT_THAT(keeper.slots_of("crew-0.2"), ElementsAre(0, 2));
  EXPECT_THAT(keeper.slots_of("crew-7.1"), IsEmpty());
  die("crew-0.1");
  EXPECT_THAT(keeper.tend({}).replaced, ElementsAre("crew-0.1"));
  die("crew-2.1");
  EXPECT_THAT(keeper.tend({}).replaced, ElementsAre("crew-2.1"));
  pass(seconds(60));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, SizeIs(4));
}

TEST_F(CrewKeeperTest, TheSlotsOfALargeCrewThatEndsGoBackToWhoIsStillThereAndElseToNewCrews) {
  CrewKeeper keeper = make_keeper(2);
  ASSERT_FALSE(keeper.tend({}).failure);
  keeper.reshape({{0, 1}});
  die("crew-1.1");
  ASSERT_FALSE(keeper.tend({}).failure);
  die("crew-0.2");
  const CrewKeeper::Tended tended = keeper.tend({});
  EXPECT_FALSE(tended.failure);
  EXPECT_THAT(tended.replaced, IsEmpty());
  EXPECT_THAT(tended.divided, ElementsAre("crew-0.2"));
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-1.1", "crew-0.2", "crew-1.2"));
  die("crew-0.1");
  ASSERT_FALSE(keeper.tend({}).failure);
  pass(seconds(1));
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_EQ(crews_.started.back(), "crew-0.3") << "it has its slot back, and is started again";
}

TEST_F(CrewKeeperTest, SplitsALargeCrewAndIsToldTwiceWithoutHarm) {
  CrewKeeper keeper = make_keeper(2);
  keeper.reshape({{0, 1}});
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1"));
  for (int i = 0; i < 2; ++i) {
    keeper.reshape({{0}, {1}});
    ASSERT_FALSE(keeper.tend({}).failure);
  }
  EXPECT_THAT(crews_.started, UnorderedElementsAre("crew-0.1", "crew-0.2", "crew-1.1"));
  die("crew-0.1");
  EXPECT_THAT(keeper.tend({}).replaced, ElementsAre("crew-0.1"));
  EXPECT_TRUE(keeper.any_running());
}

TEST_F(CrewKeeperTest, ALargeCrewThatCannotBeStartedIsDoneWithout) {
  CrewKeeper keeper = make_keeper(2);
  ASSERT_FALSE(keeper.tend({}).failure);
  crews_.refuses_large = true;
  keeper.reshape({{0, 1}});
  die("crew-1.1");
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(keeper.tend({}).failure);
    pass(seconds(1));
  }
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-1.1", "crew-1.2"));
  EXPECT_THAT(keeper.slots_of("crew-0.1"), ElementsAre(0));
}

TEST_F(CrewKeeperTest, TakesOverALargeCrewWithItsSlots) {
  Sleeper large;
  Sleeper old;
  CrewRecord record = large.record("crew-0.2");
  record.slots = {0, 1};
  ASSERT_TRUE(write_crew_record(folder_.path(), record).ok());
  ASSERT_TRUE(write_crew_record(folder_.path(), old.record("crew-0.1")).ok());
  CrewKeeper keeper = make_keeper(3);
  ASSERT_THAT(keeper.adopt(), IsEmpty());
  ASSERT_FALSE(keeper.tend({"crew-0.1", "crew-0.2"}).failure);
  EXPECT_THAT(crews_.started, ElementsAre("crew-2.1"));
  EXPECT_THAT(keeper.slots_of("crew-0.2"), ElementsAre(0, 1));
  EXPECT_THAT(keeper.slots_of("crew-0.1"), ElementsAre(0));
}

TEST_F(CrewKeeperTest, KillsADismissedCrewThatDoesNotEnd) {
  for (const bool others_have_its_slot : {false, true}) {
    Sleeper hung;
    CrewKeeper keeper = make_keeper(2);
    ASSERT_FALSE(keeper.tend({}).failure);
    const std::string crew = crews_.started[crews_.started.size() - 2];
    ASSERT_TRUE(write_crew_record(folder_.path(), hung.record(crew)).ok());
    if (others_have_its_slot) {
      keeper.reshape({{0, 1}});
    }
    keeper.expect_end(crew);
    pass(seconds(19));
    ASSERT_FALSE(keeper.tend({crew}).failure);
    EXPECT_FALSE(hung.killed());
    pass(seconds(2));
    ASSERT_FALSE(keeper.tend({crew}).failure);
    EXPECT_TRUE(hung.killed());
  }
}

TEST_F(CrewKeeperTest, ACrewThatTrainsOnUntilALargerOneIsThereMayTakeItsTime) {
  Sleeper old;
  CrewKeeper keeper = make_keeper(2);
  ASSERT_FALSE(keeper.tend({}).failure);
  ASSERT_TRUE(write_crew_record(folder_.path(), old.record("crew-0.1")).ok());
  keeper.reshape({{0, 1}});
  pass(std::chrono::hours(2));
  ASSERT_FALSE(keeper.tend({"crew-0.1"}).failure);
  EXPECT_FALSE(old.killed());
}

TEST_F(CrewKeeperTest, StartsNothingWhenWindingDown) {
  CrewKeeper keeper = make_keeper(1);
  keeper.wind_down();
  ASSERT_FALSE(keeper.tend({}).failure);
  EXPECT_THAT(crews_.started, IsEmpty());
}

}  // namespace
}  // namespace regatta
