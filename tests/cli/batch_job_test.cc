// What a job's end leaves crews to save.
#include "cli/batch_job.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>

#include "base/file.h"
#include "cli/study_plan.h"
#include "cli/submitted_jobs.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using Notice = BatchJob::Notice;

// A job that runs, and has so much left.
JobTimes with_left(std::int64_t left) {
  return {.job = SlurmJob{.state = "RUNNING", .run_time = "100", .time_limit = std::to_string(100 + left)}};
}

TEST(SaveLimit, IsWhatTheJobHasLeftLessWhatComesAfter) {
  EXPECT_EQ(save_limit(Notice::time_limit, with_left(160)), seconds(130));
  EXPECT_EQ(save_limit(Notice::time_limit, with_left(600)), seconds(570));
  EXPECT_EQ(save_limit(Notice::preempted, with_left(90)), seconds(60));
}

TEST(SaveLimit, OfALittleTimeIsTheLargerPart) {
  EXPECT_EQ(save_limit(Notice::time_limit, with_left(30)), seconds(20));
  EXPECT_EQ(save_limit(Notice::time_limit, with_left(3)), seconds(2));
  EXPECT_EQ(save_limit(Notice::time_limit, with_left(-4)), seconds(1));
}

TEST(SaveLimit, IsThatOfTheScriptsSignalWhereSlurmDoesNotTell) {
  EXPECT_EQ(save_limit(Notice::time_limit, {.save_seconds = 600}), seconds(570));
  EXPECT_EQ(save_limit(Notice::time_limit, {}), seconds(90)) << "nor the script: its default";
}

TEST(SaveLimit, OfAJobWhoseLimitHasPassedIsWhatSlurmWaitsBeforeItKills) {
  const JobTimes times{.job = SlurmJob{.state = "TIMEOUT", .run_time = "60", .time_limit = "60"},
                       .save_seconds = 120,
                       .kill_wait = 33};
  EXPECT_EQ(save_limit(Notice::time_limit, times), seconds(22));
}

// The job's time limit says nothing about a job that is being killed already.
TEST(SaveLimit, OfACancelledJobIsWhatSlurmWaitsBeforeItKills) {
  JobTimes times = with_left(3600);
  times.kill_wait = 60;
  for (const Notice notice : {Notice::cancelled, Notice::requeued}) {
    EXPECT_EQ(save_limit(notice, times), seconds(40));
  }
  EXPECT_EQ(save_limit(Notice::preempted, {.kill_wait = 30}), seconds(20));
}

TEST(SaveLimit, OfAUsersStopIsAMinuteUnlessTheJobEndsSooner) {
  EXPECT_EQ(save_limit(Notice::none, with_left(3600)), seconds(60));
  EXPECT_EQ(save_limit(Notice::none, with_left(45)), seconds(30));
  EXPECT_EQ(save_limit(Notice::none, {}), seconds(60));
}

// What takes the client's place: it notes what it was asked.
constexpr const char* kScontrol = R"(#!/bin/sh
echo "$2" >> "${0%/*}/asked"
case $2 in
  config) echo "KillWait                = 60 sec" ;;
  job) echo "JobId=12 JobState=RUNNING Requeue=1 RunTime=00:58:00 TimeLimit=01:00:00" ;;
esac
)";

// A process in a job's batch script.
class BatchJobTest : public testing::Test {
 protected:
  BatchJobTest() {
    std::ofstream(folder_.path() / "scontrol") << kScontrol;
    std::filesystem::permissions(folder_.path() / "scontrol", std::filesystem::perms::owner_all);
    std::ofstream(batch_script_file(folder_.path())) << "#!/bin/sh\n";
    set("PATH", folder_.path().string() + ":" + std::getenv("PATH"));
    set("SLURM_JOB_ID", "12");
    set("SLURM_JOB_NODELIST", "n1");
    set("SLURM_JOB_CPUS_PER_NODE", "2");
    set("SLURM_PROCID", "0");
    set("SLURM_TASK_PID", "6571");
  }
  ~BatchJobTest() override {
    for (const auto& [name, value] : before_) {
      if (value) {
        ::setenv(name.c_str(), value->c_str(), 1);
      } else {
        ::unsetenv(name.c_str());
      }
    }
  }

  // How often Slurm was asked for it.
  std::ptrdiff_t asked(const std::string& what) const {
    std::ifstream lines(folder_.path() / "asked");
    return std::count(std::istream_iterator<std::string>(lines), {}, what);
  }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();

 private:
  void set(const std::string& name, const std::string& value) {
    const char* const before = std::getenv(name.c_str());
    before_[name] = before == nullptr ? std::nullopt : std::optional<std::string>(before);
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(BatchJobTest, AsksSlurmForTheJobOnceInEachNoticeAndForTheWaitAtItsStart) {
  const auto plan = plan_study(parse_experiment("objective: {minimize: loss}\nspace: {lr: {float: [0, 1]}}\n"
                                                "command: [/bin/true, $lr]\n"
                                                "search: {stop: {trials: 1}}\n",
                                                "exp.yaml")
                                   .value(),
                               {.check_training = false});
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  const auto study = make_study(**plan);
  VirtualClock clock;
  const auto job = BatchJob::find(folder_.path(), *study, clock).value();
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(asked("config"), 1);

  clock.advance_to(seconds(1));
  EXPECT_EQ(job->time_to_save(Notice::time_limit, seconds(1)), seconds(90));
  EXPECT_EQ(asked("job"), 1);
  clock.advance_to(seconds(2));
  EXPECT_EQ(job->ask(), Notice::none);
  EXPECT_EQ(job->time_to_save(Notice::cancelled, seconds(2)), seconds(40));
  EXPECT_EQ(asked("job"), 2);
  EXPECT_EQ(asked("config"), 1);
}

}  // namespace
}  // namespace regatta
