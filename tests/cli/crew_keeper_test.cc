// Crews are kept running: restarts, back-off, giving up, taking over.
#include "cli/crew_keeper.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/file.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

struct FakeCrews {
  std::vector<std::string> started;
  std::vector<CrewExit> exits;  // for the next poll
};

class FakeLauncher final : public Launcher {
 public:
  explicit FakeLauncher(FakeCrews& crews) : crews_(crews) {}
  Status start(const CrewSpec& crew) override {
    crews_.started.push_back(crew.name);
    return write_file_atomically(crew.log, "started\n");
  }
  std::vector<CrewExit> poll() override { return std::exchange(crews_.exits, {}); }
  void stop_all(Microseconds) override {}

 private:
  FakeCrews& crews_;
};

class CrewKeeperTest : public testing::Test {
 protected:
  CrewKeeper make_keeper(int crews) {
    EXPECT_TRUE(make_directories(folder_.path() / "logs").ok());
    return {std::make_unique<FakeLauncher>(crews_), clock_, {.folder = folder_.path(), .crews = crews}};
  }
  void pass(Microseconds time) { clock_.advance_to(clock_.monotonic() + time); }
  void die(const std::string& name) { crews_.exits = {{.name = name, .reason = name + ": killed"}}; }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  VirtualClock clock_;
  FakeCrews crews_;
};

TEST_F(CrewKeeperTest, StartsEveryCrewOnce) {
  CrewKeeper keeper = make_keeper(2);
  ASSERT_TRUE(keeper.tend(0).ok());
  ASSERT_TRUE(keeper.tend(2).ok());
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-1.1"));
  EXPECT_TRUE(keeper.any_running());
}

TEST_F(CrewKeeperTest, StartsADeadCrewAgainUnderANewNameAfterAPause) {
  CrewKeeper keeper = make_keeper(1);
  ASSERT_TRUE(keeper.tend(0).ok());
  die("crew-0.1");
  const auto exits = keeper.tend(0);
  ASSERT_TRUE(exits.ok());
  ASSERT_EQ(exits->size(), 1U);
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1"));
  pass(seconds(1));
  ASSERT_TRUE(keeper.tend(0).ok());
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1", "crew-0.2"));
}

TEST_F(CrewKeeperTest, GivesUpOnACrewThatDiesFiveTimesAtItsStart) {
  CrewKeeper keeper = make_keeper(1);
  for (int death = 1; death <= 5; ++death) {
    pass(seconds(30));
    ASSERT_TRUE(keeper.tend(0).ok());
    die("crew-0." + std::to_string(death));
    EXPECT_EQ(keeper.tend(0).ok(), death < 5);
  }
}

TEST_F(CrewKeeperTest, ForgivesDeathsOnceACrewHasLived) {
  CrewKeeper keeper = make_keeper(1);
  for (int death = 1; death <= 12; ++death) {
    pass(seconds(30));
    ASSERT_TRUE(keeper.tend(0).ok());
    pass(death % 4 == 0 ? seconds(60) : seconds(1));
    die("crew-0." + std::to_string(death));
    EXPECT_TRUE(keeper.tend(0).ok());
  }
}

TEST_F(CrewKeeperTest, LeavesADismissedCrewAlone) {
  CrewKeeper keeper = make_keeper(1);
  ASSERT_TRUE(keeper.tend(0).ok());
  crews_.exits = {{.name = "crew-0.1", .clean = true}};
  ASSERT_TRUE(keeper.tend(1).ok());
  pass(seconds(60));
  ASSERT_TRUE(keeper.tend(0).ok());
  EXPECT_THAT(crews_.started, ElementsAre("crew-0.1"));
  EXPECT_FALSE(keeper.any_running());
}

TEST_F(CrewKeeperTest, NeverUsesANameTwice) {
  ASSERT_TRUE(make_directories(folder_.path() / "logs").ok());
  ASSERT_TRUE(write_file_atomically(folder_.path() / "logs" / "crew-0.7.log", "").ok());
  CrewKeeper keeper = make_keeper(1);
  ASSERT_TRUE(keeper.tend(0).ok());
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
  ASSERT_TRUE(keeper.tend(1).ok());
  EXPECT_THAT(crews_.started, ElementsAre("crew-1.1"));
}

TEST_F(CrewKeeperTest, StartsNothingWhenWindingDown) {
  CrewKeeper keeper = make_keeper(1);
  keeper.wind_down();
  ASSERT_TRUE(keeper.tend(0).ok());
  EXPECT_THAT(crews_.started, IsEmpty());
}

}  // namespace
}  // namespace regatta
