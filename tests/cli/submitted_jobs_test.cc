// The jobs of a study, on disk and counted.
#include "cli/submitted_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SubmittedJobs, AreReadAsTheyWereWritten) {
  const auto folder = TemporaryDirectory::make().value();
  EXPECT_THAT(read_submitted_jobs(folder.path()).jobs, IsEmpty());
  const SubmittedJobs written{.jobs = {"12", "13"},
                              .starts = {{.job = "12", .restarts = 0, .progress = "a"},
                                         {.job = "12", .restarts = 1, .progress = "b"}}};
  ASSERT_TRUE(write_submitted_jobs(folder.path(), written).ok());
  const SubmittedJobs read = read_submitted_jobs(folder.path());
  EXPECT_THAT(read.jobs, ElementsAre("12", "13"));
  ASSERT_EQ(read.starts.size(), 2U);
  EXPECT_EQ(read.starts[1].job, "12");
  EXPECT_EQ(read.starts[1].restarts, 1);
  EXPECT_EQ(read.starts[1].progress, "b");
}

TEST(SubmittedJobs, ADamagedFileIsNoJob) {
  const auto folder = TemporaryDirectory::make().value();
  std::ofstream(folder.path() / "jobs.json") << "{\"jobs\": 3";
  EXPECT_THAT(read_submitted_jobs(folder.path()).jobs, IsEmpty());
}

TEST(SubmittedJobs, StartsThatBroughtNothingAreCountedFromTheLatest) {
  const SubmittedJobs jobs{.jobs = {"1"},
                           .starts = {{.progress = "a"}, {.progress = "b"}, {.progress = "b"}}};
  EXPECT_EQ(starts_without_progress(jobs, "b"), 2);
  EXPECT_EQ(starts_without_progress(jobs, "c"), 0);
  EXPECT_EQ(starts_without_progress({}, "b"), 0);
}

}  // namespace
}  // namespace regatta
