// Real processes: shell scripts in the place of workers, and the real mpirun.
#include "cluster/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "base/file.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr seconds kSoon{30};  // a limit that only a failing test reaches

bool eventually(const std::function<bool()>& condition) {
  const SystemClock clock;
  const Deadline deadline(clock, kSoon);
  while (!deadline.passed()) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  return false;
}

// A zombie is gone as far as these tests go: its parent may be another process.
bool is_alive(pid_t id) {
  std::ifstream stream("/proc/" + std::to_string(id) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const std::size_t name_end = text.rfind(')');
  return name_end != std::string::npos && text.size() > name_end + 2 && text[name_end + 2] != 'Z';
}

class Launching : public testing::Test {
 protected:
  // A launcher whose workers run `script` (with the worker's arguments).
  std::unique_ptr<Launcher> launcher(const std::string& script, const Resources& resources = {}) {
    const fs::path program = folder_.path() / "worker.sh";
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    fs::permissions(program, fs::perms::owner_all);
    auto made = make_mpirun_launcher(resources, program);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return std::move(made).value();
  }
  CrewSpec crew(const std::string& name = "crew-0.0") const {
    return {.name = name, .slots = {0}, .folder = folder_.path(), .log = log_};
  }
  std::string log() const { return fs::exists(log_) ? read_file(log_).value() : ""; }
  // The numbers that the script wrote as "NAME NUMBER" lines.
  std::vector<pid_t> logged(const std::string& name) const {
    std::vector<pid_t> ids;
    std::istringstream lines(log());
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(name + " ")) {
        ids.push_back(std::stoi(line.substr(name.size() + 1)));
      }
    }
    return ids;
  }
  std::vector<pid_t> wait_for_logged(const std::string& name, std::size_t count = 1) const {
    EXPECT_TRUE(eventually([&] { return logged(name).size() >= count; })) << log();
    return logged(name);
  }
  static std::vector<CrewExit> wait_for_exit(Launcher& launcher) {
    std::vector<CrewExit> exits;
    EXPECT_TRUE(eventually([&] {
      exits = launcher.poll();
      return !exits.empty();
    }));
    return exits;
  }

  const TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  const fs::path log_ = folder_.path() / "logs" / "crew-0.log";
};

TEST(LargeCrews, OfStepsOfAJobAreNotStarted) {
  Resources resources{.ranks = 2};
  EXPECT_EQ(why_no_large_crews(resources), "");
  resources.slurm = SlurmRoom{};
  EXPECT_THAT(why_no_large_crews(resources), HasSubstr("steps of a Slurm job"));
}

TEST_F(Launching, CrewLearnsItsStudyItsNameAndItsThreads) {
  const auto crews = launcher("echo \"$@\"; echo threads $OMP_NUM_THREADS", {.threads = 2});
  ASSERT_TRUE(crews->start(crew()).ok());
  const auto exits = wait_for_exit(*crews);
  ASSERT_EQ(exits.size(), 1U);
  EXPECT_EQ(exits[0].name, "crew-0.0");
  EXPECT_TRUE(exits[0].clean);
  EXPECT_EQ(log(), "worker --study " + folder_.path().string() +
                       " --crew crew-0.0 --threads 2 --lanes 1\nthreads 2\n");
  EXPECT_TRUE(crews->poll().empty());
}

TEST_F(Launching, FailedCrewsReasonHoldsTheEndOfItsOwnOutput) {
  fs::create_directories(log_.parent_path());
  std::ofstream(log_) << "an earlier crew\n";
  const auto crews = launcher("for i in 1 2 3 4 5 6 7; do echo line $i; done; echo ------; exit 3");
  ASSERT_TRUE(crews->start(crew()).ok());
  const auto exits = wait_for_exit(*crews);
  ASSERT_EQ(exits.size(), 1U);
  EXPECT_FALSE(exits[0].clean);
  EXPECT_THAT(exits[0].reason, HasSubstr("crew-0.0: exited with code 3"));
  EXPECT_THAT(exits[0].reason, HasSubstr("line 3\n  line 4\n  line 5\n  line 6\n  line 7"));
  EXPECT_THAT(exits[0].reason, Not(HasSubstr("line 2")));
  EXPECT_THAT(exits[0].reason, Not(HasSubstr("---")));
  EXPECT_THAT(log(), HasSubstr("an earlier crew\nline 1\n"));
}

TEST_F(Launching, EarlierOutputIsNotTakenForThisCrews) {
  fs::create_directories(log_.parent_path());
  std::ofstream(log_) << "an earlier crew\n";
  const auto crews = launcher("exit 1");
  ASSERT_TRUE(crews->start(crew()).ok());
  EXPECT_THAT(wait_for_exit(*crews)[0].reason, Not(HasSubstr("earlier")));
}

TEST_F(Launching, KilledCrewIsNoticedAndWhatItStartedIsEnded) {
  const auto crews = launcher("sleep 1000 & echo child $!; echo self $$; wait");
  ASSERT_TRUE(crews->start(crew()).ok());
  const pid_t self = wait_for_logged("self")[0];
  ::kill(self, SIGKILL);
  const auto exits = wait_for_exit(*crews);
  EXPECT_FALSE(exits[0].clean);
  EXPECT_THAT(exits[0].reason, HasSubstr("killed by signal 9"));
  EXPECT_TRUE(eventually([&] { return !is_alive(logged("child")[0]); }));
}

TEST_F(Launching, ProgramThatIsNotThereIsAnError) {
  const auto crews = make_mpirun_launcher({}, folder_.path() / "no-such-program");
  ASSERT_TRUE(crews.ok());
  const auto started = (*crews)->start(crew());
  ASSERT_FALSE(started.ok());
  EXPECT_THAT(started.error().message, HasSubstr("no-such-program"));
}

TEST_F(Launching, StopAsksFirst) {
  const auto crews = launcher("trap 'echo saved; exit 0' TERM; echo self $$; while :; do sleep 0.05; done");
  ASSERT_TRUE(crews->start(crew()).ok());
  wait_for_logged("self");
  crews->stop_all(kSoon);
  const auto exits = crews->poll();
  ASSERT_EQ(exits.size(), 1U);
  EXPECT_TRUE(exits[0].clean);
  EXPECT_THAT(log(), HasSubstr("saved"));
}

TEST_F(Launching, StopKillsWhatDoesNotListen) {
  const auto crews =
      launcher("trap '' TERM; echo self $$; (trap '' TERM; while :; do sleep 1; done) & echo child $!; wait");
  ASSERT_TRUE(crews->start(crew("crew-0.0")).ok());
  ASSERT_TRUE(crews->start(crew("crew-1.0")).ok());
  const auto selves = wait_for_logged("self", 2);
  const auto children = wait_for_logged("child", 2);
  crews->stop_all(milliseconds(100));
  EXPECT_EQ(crews->poll().size(), 2U);
  for (const auto& ids : {selves, children}) {
    for (const pid_t id : ids) {
      EXPECT_TRUE(eventually([&] { return !is_alive(id); }));
    }
  }
}

TEST_F(Launching, CrewsEndWithTheirLauncher) {
  pid_t started = 0;
  {
    const auto crews = launcher("echo self $$; exec sleep 1000");
    ASSERT_TRUE(crews->start(crew()).ok());
    started = wait_for_logged("self", 1)[0];
  }
  EXPECT_FALSE(is_alive(started));
}

TEST_F(Launching, VariablesOfAnOuterJobAreNotPassedOn) {
  ::setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
  ::setenv("PMIX_RANK", "0", 1);
  const auto crews = launcher("echo \"outer=${OMPI_COMM_WORLD_SIZE}${PMIX_RANK}\"");
  const bool started = crews->start(crew()).ok();
  ::unsetenv("OMPI_COMM_WORLD_SIZE");
  ::unsetenv("PMIX_RANK");
  ASSERT_TRUE(started);
  wait_for_exit(*crews);
  EXPECT_EQ(log(), "outer=\n");
}

class LaunchingRanks : public Launching {
 protected:
  void SetUp() override {
    if (std::system("command -v mpirun > /dev/null 2>&1") != 0) {
      GTEST_SKIP() << "mpirun is not installed";
    }
  }
};

TEST_F(LaunchingRanks, CrewOfTwoIsOneMpiJob) {
  const auto crews =
      launcher("echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE: \"$@\"", {.ranks = 2});
  ASSERT_TRUE(crews->start(crew()).ok());
  const auto exits = wait_for_exit(*crews);
  EXPECT_TRUE(exits[0].clean) << exits[0].reason;
  EXPECT_THAT(log(), HasSubstr("rank 0 of 2: worker --study"));
  EXPECT_THAT(log(), HasSubstr("rank 1 of 2: worker --study"));
}

TEST_F(LaunchingRanks, KilledRankEndsItsCrewAndTheReasonNamesIt) {
  const auto crews = launcher("echo rank$OMPI_COMM_WORLD_RANK $$; exec sleep 1000", {.ranks = 2});
  ASSERT_TRUE(crews->start(crew()).ok());
  const pid_t other = wait_for_logged("rank0")[0];
  ::kill(wait_for_logged("rank1")[0], SIGKILL);
  const auto exits = wait_for_exit(*crews);
  EXPECT_FALSE(exits[0].clean);
  EXPECT_THAT(exits[0].reason, HasSubstr("rank 1"));
  EXPECT_THAT(exits[0].reason, HasSubstr("signal 9"));
  EXPECT_TRUE(eventually([&] { return !is_alive(other); }));
}

TEST_F(LaunchingRanks, KilledMpirunLeavesNoRankBehind) {
  const auto crews = launcher("echo rank $$; echo mpirun $PPID; exec sleep 1000", {.ranks = 2});
  ASSERT_TRUE(crews->start(crew()).ok());
  const auto ranks = wait_for_logged("rank", 2);
  ::kill(wait_for_logged("mpirun")[0], SIGKILL);
  EXPECT_FALSE(wait_for_exit(*crews)[0].clean);
  for (const pid_t rank : ranks) {
    EXPECT_TRUE(eventually([&] { return !is_alive(rank); }));
  }
}

TEST_F(LaunchingRanks, StopLeavesNoRankBehind) {
  const auto crews = launcher("trap '' TERM; echo rank $$; while :; do sleep 1; done", {.ranks = 2});
  ASSERT_TRUE(crews->start(crew()).ok());
  const auto ranks = wait_for_logged("rank", 2);
  crews->stop_all(milliseconds(300));
  EXPECT_EQ(crews->poll().size(), 1U);
  for (const pid_t rank : ranks) {
    EXPECT_TRUE(eventually([&] { return !is_alive(rank); }));
  }
}

}  // namespace
}  // namespace regatta
