// What Slurm's environment and clients say, in the texts that they have printed.
#include "cluster/slurm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "cluster/slurm_jobs.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Variables = std::map<std::string, std::string>;

std::optional<SlurmAllocation> allocation_in(const Variables& variables) {
  return slurm_allocation([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

// Of a batch script on two nodes.
const Variables kBatch{
    {"SLURM_JOB_ID", "12"},      {"SLURM_JOB_NODELIST", "n[1-2]"}, {"SLURM_JOB_CPUS_PER_NODE", "4(x2)"},
    {"SLURM_PROCID", "0"},       {"SLURM_TASK_PID", "6571"},       {"SLURM_MEM_PER_CPU", "200"},
    {"SLURM_RESTART_COUNT", "3"}};

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) {
    variables[name] = value;
  }
  return variables;
}

TEST(SlurmAllocation, OfABatchScriptIsReadFromItsVariables) {
  const auto found = allocation_in(kBatch);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->job, "12");
  EXPECT_EQ(found->node_list, "n[1-2]");
  EXPECT_THAT(found->cpus, ElementsAre(4, 4));
  EXPECT_EQ(found->total_cpus(), 8);
  EXPECT_EQ(found->restarts, 3);
  EXPECT_EQ(found->memory_a_cpu, 200);
  EXPECT_FALSE(found->memory_a_node);
  EXPECT_EQ(found->gpus_a_node, 0);
  EXPECT_TRUE(found->batch);
}

TEST(SlurmAllocation, GpusAreThoseOfTheNodeOrThoseAskedFor) {
  EXPECT_EQ(allocation_in(with(kBatch, {{"SLURM_GPUS_ON_NODE", "8"}}))->gpus_a_node, 8);
  EXPECT_EQ(allocation_in(with(kBatch, {{"SLURM_GPUS_PER_NODE", "a100:2"}}))->gpus_a_node, 2);
  EXPECT_EQ(allocation_in(with(kBatch, {{"SLURM_GPUS_PER_NODE", "4"}}))->gpus_a_node, 4);
}

TEST(SlurmAllocation, OfSallocHasStepsButIsNoBatchJob) {
  Variables shell = kBatch;
  shell.erase("SLURM_TASK_PID");
  shell.erase("SLURM_PROCID");
  const auto found = allocation_in(shell);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->batch);
  const auto interactive = allocation_in(with(kBatch, {{"SLURM_STEP_ID", "4294967290"}}));
  ASSERT_TRUE(interactive);
  EXPECT_FALSE(interactive->batch);
}

TEST(SlurmAllocation, AStepOrAnOrdinaryShellHasNoneToGive) {
  EXPECT_FALSE(allocation_in({}));
  EXPECT_FALSE(allocation_in(with(kBatch, {{"SLURM_STEP_ID", "0"}})));
  EXPECT_FALSE(allocation_in(with(kBatch, {{"SLURM_JOB_CPUS_PER_NODE", "many"}})));
}

TEST(ParseRepeated, UnfoldsSlurmsLists) {
  EXPECT_THAT(parse_repeated("72(x3),36"), ElementsAre(72, 72, 72, 36));
  EXPECT_THAT(parse_repeated("1"), ElementsAre(1));
  for (const char* wrong : {"", "x", "2(x", "2(x0)", "2(xx)", "-2", "2(x99999999999)"}) {
    EXPECT_THAT(parse_repeated(wrong), IsEmpty()) << wrong;
  }
}

TEST(ListsPmix, InTheWaysThatVersionsOfSlurmPrint) {
  EXPECT_TRUE(lists_pmix("MPI plugin types are...\n\tpmix\n\tnone\n\tpmi2\n"));
  EXPECT_TRUE(
      lists_pmix("MPI plugin types are...\n\tnone\nspecific pmix plugin versions available: pmix_v4\n"));
  EXPECT_TRUE(lists_pmix("srun: MPI types are...\nsrun: pmix_v3\nsrun: none\n"));
  EXPECT_FALSE(lists_pmix("MPI plugin types are...\n\tnone\n\tcray_shasta\n\tpmi2\n"));
  EXPECT_FALSE(lists_pmix("MPI plugin types are...\n\tnone\nspecific pmix plugin versions available: \n"));
  EXPECT_FALSE(lists_pmix(""));
}

// As `scontrol show job -o` prints it, shortened.
const char* const kRunning =
    "JobId=12 JobName=regatta-tiny UserId=root(0) Priority=4294901759 JobState=RUNNING Reason=None "
    "Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 RunTime=00:01:10 TimeLimit=1-00:00:00 "
    "StartTime=2026-11-21T21:35:09 PreemptTime=None Partition=main ReqNodeList=(null) NodeList=n[1-2] "
    "BatchHost=n1 NumNodes=2 \n";

TEST(ParseJob, ReadsStatePlaceAndTime) {
  const auto job = parse_job(kRunning);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->id, "12");
  EXPECT_TRUE(job->is_running());
  EXPECT_EQ(job->reason, "");
  EXPECT_EQ(job->nodes, "n[1-2]");
  EXPECT_TRUE(job->requeueable);
  EXPECT_FALSE(job->preempted);
  EXPECT_EQ(seconds_left(*job), 86400 - 70);
}

TEST(ParseJob, APreemptedJobHasTheGraceThatIsLeftAndNotItsTimeLimit) {
  auto job = parse_job(kRunning);
  ASSERT_TRUE(job);
  job->preempted = true;
  job->end_time = "2026-11-21T21:37:09";
  EXPECT_EQ(seconds_left(*job), 120 - 70);
  job->time_limit = "UNLIMITED";
  EXPECT_EQ(seconds_left(*job), 120 - 70);
  job->end_time = "2036-11-21T21:37:09";
  job->time_limit = "00:02:00";
  EXPECT_EQ(seconds_left(*job), 120 - 70);
  job->end_time = "soon";
  EXPECT_EQ(seconds_left(*job), 120 - 70);
}

// Restores what it was before.
class TimeZone {
 public:
  explicit TimeZone(const char* zone) {
    const char* const before = std::getenv("TZ");
    before_ = before == nullptr ? std::nullopt : std::optional<std::string>(before);
    set(zone);
  }
  ~TimeZone() { set(before_ ? before_->c_str() : nullptr); }

 private:
  static void set(const char* zone) {
    if (zone == nullptr) {
      ::unsetenv("TZ");
    } else {
      ::setenv("TZ", zone, 1);
    }
    ::tzset();
  }
  std::optional<std::string> before_;
};

TEST(ParseJob, ClocksThatChangeTakeNoTimeFromAJob) {
  const TimeZone zone("CET-1CEST,M3.5.0,M10.5.0/3");  // winter from 2026-10-25, three o'clock
  auto job = parse_job(kRunning);
  ASSERT_TRUE(job);
  job->run_time = "00:00:10";
  job->start_time = "2026-10-24T12:00:00";
  job->end_time = "2026-10-25T11:00:00";
  EXPECT_EQ(seconds_left(*job), 86400 - 10);
  job->preempted = true;
  EXPECT_EQ(seconds_left(*job), 86400 - 10);
}

TEST(ParseJob, AJobThatWasSuspendedHasWhatItsLimitLeaves) {
  auto job = parse_job(kRunning);
  ASSERT_TRUE(job);
  job->time_limit = "01:00:00";
  job->end_time = "2026-11-21T23:35:09";  // it stood still for an hour
  EXPECT_EQ(seconds_left(*job), 3600 - 70);
  job->time_limit = "UNLIMITED";
  EXPECT_FALSE(seconds_left(*job));
}

TEST(ParseKillWait, FindsItAmongTheRest) {
  EXPECT_EQ(parse_kill_wait("KillOnBadExit           = 0\nKillWait                = 45 sec\nLines = 3\n"),
            45);
  EXPECT_FALSE(parse_kill_wait("KillOnBadExit           = 0\n"));
  EXPECT_FALSE(parse_kill_wait("KillWait                = none\nMax = 3\n"));
}

TEST(ParseJob, SeesThatAJobWaitsAndWhy) {
  const auto job = parse_job(
      "JobId=13 JobState=PENDING Reason=BeginTime Requeue=0 RunTime=00:00:00 TimeLimit=00:10:00 "
      "StartTime=Unknown PreemptTime=2026-11-21T21:35:09 NodeList=(null)");
  ASSERT_TRUE(job);
  EXPECT_TRUE(job->is_waiting());
  EXPECT_EQ(job->reason, "BeginTime");
  EXPECT_EQ(job->nodes, "");
  EXPECT_EQ(job->start_time, "");
  EXPECT_FALSE(job->requeueable);
  EXPECT_TRUE(job->preempted);
  EXPECT_FALSE(seconds_left(*job));
}

TEST(ParseJob, TakesNothingElseForAJob) {
  EXPECT_FALSE(parse_job(""));
  EXPECT_FALSE(parse_job("slurm_load_jobs error: Invalid job id specified"));
}

TEST(ParseSlurmSeconds, ReadsDurations) {
  EXPECT_EQ(parse_slurm_seconds("1-02:03:04"), 86400 + 2 * 3600 + 3 * 60 + 4);
  EXPECT_EQ(parse_slurm_seconds("00:10"), 10);
  EXPECT_FALSE(parse_slurm_seconds("UNLIMITED"));
  EXPECT_FALSE(parse_slurm_seconds("infinite"));
  EXPECT_FALSE(parse_slurm_seconds(""));
}

}  // namespace
}  // namespace regatta
