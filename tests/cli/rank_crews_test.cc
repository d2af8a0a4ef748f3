// Crews that are ranks of one mpirun: how their ends are told.
#include "cli/rank_crews.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "base/file.h"
#include "base/host.h"

namespace regatta {
namespace {

using testing::HasSubstr;

class RankCrews : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(study_ / "crews").ok()); }
  static bool eventually(const std::function<bool()>& condition) {
    const SystemClock clock;
    const Deadline deadline(clock, std::chrono::seconds(30));
    while (!condition() && !deadline.passed()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return condition();
  }
  static CrewRank rank_of(pid_t process, int rank, const std::string& crew) {
    return {.crew = crew,
            .rank = rank,
            .host = "a",
            .process_id = process,
            .process_start = process_start(process).value_or(0)};
  }

  const TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  const std::filesystem::path study_ = folder_.path();
};

TEST_F(RankCrews, EndAsWasToldFirst) {
  EXPECT_FALSE(crew_end(study_, "crew-0.1"));
  note_crew_end(study_, "crew-0.1", "rank 3 has died");
  note_crew_end(study_, "crew-0.1", "");
  EXPECT_EQ(crew_end(study_, "crew-0.1"), "rank 3 has died");
}

TEST_F(RankCrews, AreSeenToEndByTheCoordinator) {
  const auto launcher = make_rank_launcher();
  ASSERT_TRUE(launcher->start({.name = "crew-0.1", .folder = study_}).ok());
  ASSERT_TRUE(launcher->start({.name = "crew-1.1", .folder = study_}).ok());
  note_crew_end(study_, "crew-0.1", "rank 3 has died");
  note_crew_end(study_, "crew-1.1", "");
  std::vector<CrewExit> exits;
  ASSERT_TRUE(eventually([&] {
    for (CrewExit& exit : launcher->poll()) {
      exits.push_back(std::move(exit));
    }
    return exits.size() == 2;
  }));
  EXPECT_EQ(exits[0].reason, "crew-0.1: rank 3 has died");
  EXPECT_FALSE(exits[0].clean);
  EXPECT_TRUE(exits[1].clean);
}

TEST_F(RankCrews, ADeadRankIsNoticedByItsNeighbourOnTheHost) {
  const pid_t neighbour = ::fork();
  if (neighbour == 0) {
    ::pause();
    ::_exit(0);
  }
  const CrewRank mine = rank_of(::getpid(), 1, "crew-0.1");
  const RankWatch watch(study_, mine,
                        {{.crew = "", .rank = 0, .host = "a"}, mine, rank_of(neighbour, 2, "crew-1.1")});
  ::kill(neighbour, SIGKILL);
  ASSERT_TRUE(eventually([&] { return crew_end(study_, "crew-1.1").has_value(); }));
  ::waitpid(neighbour, nullptr, 0);
  EXPECT_THAT(*crew_end(study_, "crew-1.1"), HasSubstr("rank 2 on host a"));
  EXPECT_FALSE(crew_end(study_, "crew-0.1"));
}

TEST_F(RankCrews, ARankEndsWhenItsCrewIsLost) {
  const pid_t rank = ::fork();
  if (rank == 0) {
    const CrewRank mine = rank_of(::getpid(), 1, "crew-0.1");
    const RankWatch watch(study_, mine, {mine});
    ::pause();
    ::_exit(1);
  }
  note_crew_end(study_, "crew-0.1", "rank 2 has died");
  int status = -1;
  ASSERT_EQ(::waitpid(rank, &status, 0), rank);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace regatta
