// What a job's end leaves crews to save.
#include "cli/batch_job.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

using std::chrono::seconds;
using Notice = BatchJob::Notice;

TEST(SaveLimit, IsWhatTheJobHasLeftLessWhatComesAfter) {
  EXPECT_EQ(save_limit({.notice = Notice::time_limit, .seconds_left = 160}), seconds(145));
  EXPECT_EQ(save_limit({.notice = Notice::time_limit, .seconds_left = 600}), seconds(585));
  EXPECT_EQ(save_limit({.notice = Notice::preempted, .seconds_left = 50}), seconds(35));
}

TEST(SaveLimit, OfALittleTimeIsTheLargerPart) {
  EXPECT_EQ(save_limit({.notice = Notice::time_limit, .seconds_left = 30}), seconds(20));
  EXPECT_EQ(save_limit({.notice = Notice::time_limit, .seconds_left = 3}), seconds(2));
  EXPECT_EQ(save_limit({.notice = Notice::time_limit, .seconds_left = -4}), seconds(1));
}

TEST(SaveLimit, IsThatOfTheScriptsSignalWhereSlurmDoesNotTell) {
  const JobEnd end{.notice = Notice::time_limit, .seconds_left = {}, .save_seconds = 120};
  EXPECT_EQ(save_limit(end), seconds(105));
}

// The job's time limit says nothing about a job that is being killed already.
TEST(SaveLimit, OfACancelledJobIsWhatSlurmWaitsBeforeItKills) {
  for (const Notice notice : {Notice::cancelled, Notice::requeued}) {
    EXPECT_EQ(save_limit({.notice = notice, .seconds_left = 3600, .kill_wait = 60}), seconds(45));
  }
  EXPECT_EQ(save_limit({.notice = Notice::preempted, .seconds_left = {}, .kill_wait = 30}), seconds(20));
}

TEST(SaveLimit, OfAUsersStopIsAMinuteUnlessTheJobEndsSooner) {
  EXPECT_EQ(save_limit({.notice = Notice::none, .seconds_left = 3600}), seconds(60));
  EXPECT_EQ(save_limit({.notice = Notice::none, .seconds_left = 45}), seconds(30));
  EXPECT_EQ(save_limit({.notice = Notice::none, .seconds_left = {}}), seconds(60));
}

}  // namespace
}  // namespace regatta
