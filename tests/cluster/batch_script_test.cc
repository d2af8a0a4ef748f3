// The script as text, and one of Slurm's clients' stand-ins that is run to its end.
#include "cluster/batch_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/client_program.h"

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::Not;

BatchScript script() {
  return {.study = "iris",
          .folder = "/data/runs/iris",
          .program = "/opt/bin/regatta",
          .request = {},
          .setup = {}};
}

// All that can be asked for.
JobRequest request_of_everything() {
  return {.nodes = 4,
          .ntasks_per_node = 8,
          .cpus_per_task = 7,
          .gpus_per_node = 8,
          .time = "4:00:00",
          .partition = "gpu",
          .account = "physics",
          .qos = "high",
          .memory = "64G",
          .exclusive = true,
          .options = {"--constraint=ib"},
          .save_seconds = 300};
}

TEST(BatchScript, GoesOnWithTheStudyAndTakesTheSignalsItself) {
  const std::string text = write_batch_script(script());
  EXPECT_THAT(text, testing::StartsWith("#!/bin/bash\n#SBATCH --job-name=regatta-iris\n#SBATCH --nodes=1\n"));
  EXPECT_THAT(text, HasSubstr("#SBATCH --output=\"/data/runs/iris/logs/slurm-%j.log\"\n"));
  EXPECT_THAT(text,
              HasSubstr("#SBATCH --open-mode=append\n#SBATCH --requeue\n#SBATCH --signal=B:USR1@120\n"));
  EXPECT_THAT(text, HasSubstr("\ntrap '' USR1"));
  EXPECT_THAT(text, testing::EndsWith("\nexec /opt/bin/regatta resume /data/runs/iris\n"));
  EXPECT_THAT(text, Not(HasSubstr("--time")));
}

TEST(BatchScript, SaysWhatTheJobAsksFor) {
  BatchScript asked = script();
  asked.request = request_of_everything();
  const std::string text = write_batch_script(asked);
  for (const char* line : {"--nodes=4", "--ntasks-per-node=8", "--cpus-per-task=7", "--gpus-per-node=8",
                           "--time=4:00:00", "--partition=gpu", "--account=physics", "--qos=high",
                           "--mem=64G", "--exclusive", "--constraint=ib", "--signal=B:USR1@300"}) {
    EXPECT_THAT(text, HasSubstr(std::string("#SBATCH ") + line + "\n"));
  }
}

TEST(BatchScript, SetupComesBeforeTheProgram) {
  BatchScript modules = script();
  modules.setup = {"module load openmpi", "export A=1"};
  EXPECT_THAT(write_batch_script(modules), HasSubstr("\nmodule load openmpi\nexport A=1\nexec "));
}

TEST(BatchScript, ForgetsTheStepThatItWasSubmittedFrom) {
  const auto done = run_client(
      {"env", "SLURM_STEP_ID=0", "PMIX_RANK=1", "OMPI_COMM_WORLD_SIZE=2", "SLURM_JOB_ID=7", "bash", "-c",
       write_batch_script({.study = "a", .folder = "/a", .program = "true", .setup = {"env"}})},
      std::chrono::seconds(20));
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->code, 0) << done->errors;
  EXPECT_THAT(done->output, HasSubstr("SLURM_JOB_ID=7"));
  EXPECT_THAT(done->output,
              Not(testing::AnyOf(HasSubstr("SLURM_STEP"), HasSubstr("PMIX_"), HasSubstr("OMPI_"))));
}

TEST(BatchScript, FurtherOptionsKeepTheirBlanks) {
  BatchScript odd = script();
  odd.request.options = {"--comment=my job #2", "--constraint ib", "--comment=\"a b\""};
  EXPECT_THAT(write_batch_script(odd),
              HasSubstr("\n#SBATCH --comment=\"my job #2\"\n#SBATCH --constraint ib\n"
                        "#SBATCH --comment=\"a b\"\n"));
}

TEST(BatchScript, IsReadWithoutWhatFollowsFromTheResources) {
  BatchScript asked = script();
  asked.request = request_of_everything();
  asked.request.options.emplace_back("--comment=my job");
  asked.setup = {"module load openmpi", "export A=1"};
  const EarlierScript earlier = read_batch_script(write_batch_script(asked));
  asked.request.ntasks_per_node.reset();
  asked.request.cpus_per_task.reset();
  asked.request.exclusive = false;
  EXPECT_EQ(write_batch_script({asked.study, asked.folder, asked.program, earlier.request, earlier.setup}),
            write_batch_script(asked));
  asked.request.memory = "0";
  EXPECT_EQ(read_batch_script(write_batch_script(asked)).request.memory, "");
}

TEST(BatchScript, OddNamesDoNoHarm) {
  BatchScript odd = script();
  odd.study = "a b$c";
  odd.folder = "/data/it's 100%/a b";
  const std::string text = write_batch_script(odd);
  EXPECT_THAT(text, HasSubstr("--job-name=regatta-a_b_c\n"));
  EXPECT_THAT(text, HasSubstr("--output=\"/data/it's 100%%/a b/logs/slurm-%j.log\"\n"));
  EXPECT_THAT(text, HasSubstr("resume '/data/it'\\''s 100%/a b'\n"));
}

TEST(ClientProgram, GivesOutputErrorsAndCode) {
  const auto done = run_client({"sh", "-c", "echo out; echo err >&2; exit 3"}, std::chrono::seconds(20));
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->output, "out\n");
  EXPECT_EQ(done->errors, "err\n");
  EXPECT_EQ(done->code, 3);
}

TEST(ClientProgram, AFailureComesWithItsWords) {
  const auto failed = ask_client({"sh", "-c", "echo no such job >&2; exit 1"}, std::chrono::seconds(20));
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.error().message, HasSubstr("no such job"));
}

TEST(ClientProgram, OneThatDoesNotAnswerIsGivenUp) {
  const auto late = run_client({"sleep", "100"}, std::chrono::milliseconds(50));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().kind, Error::Kind::timeout);
}

TEST(ClientProgram, OneThatIsNotThereIsAnError) {
  EXPECT_FALSE(run_client({"no-such-client"}, std::chrono::seconds(20)).ok());
}

}  // namespace
}  // namespace regatta
