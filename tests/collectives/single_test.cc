// A crew of one, and what the environment says of the launcher.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <array>
#include <map>
#include <string>

#include "collectives/communicator.h"
#include "collectives/mpi_collectives.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

TEST(SingleCommunicator, IsRankZeroOfOneAndCopies) {
  const auto communicator = make_single_communicator();
  EXPECT_EQ(communicator->rank(), 0);
  EXPECT_EQ(communicator->size(), 1);

  std::array<float, 3> sums = {1, 2, 3};
  ASSERT_TRUE(communicator->allreduce(std::span<float>(sums)).ok());
  EXPECT_THAT(sums, testing::ElementsAre(1, 2, 3));
  std::array<float, 3> slice = {};
  ASSERT_TRUE(communicator->reduce_scatter(sums, slice).ok());
  EXPECT_EQ(slice, sums);
  std::array<float, 3> gathered = {};
  ASSERT_TRUE(communicator
                  ->allgather(std::as_bytes(std::span<const float>(sums)),
                              std::as_writable_bytes(std::span(gathered)))
                  .ok());
  EXPECT_EQ(gathered, sums);
  EXPECT_TRUE(communicator->broadcast(std::as_writable_bytes(std::span(sums)), 0).ok());
  EXPECT_TRUE(communicator->barrier().ok());
}

// Each test sets the variables anew, whatever launched the test itself.
class Launch : public testing::Test {
 protected:
  void launched_with(const std::map<std::string, std::string>& variables) {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "SLURM_PROCID", "SLURM_STEP_ID",
                             "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}) {
      ::unsetenv(name);
    }
    for (const auto& [name, value] : variables) {
      ::setenv(name.c_str(), value.c_str(), 1);
    }
  }
};

TEST_F(Launch, IsSeenInTheEnvironment) {
  launched_with({});
  EXPECT_FALSE(started_by_mpi());
  launched_with({{"OMPI_COMM_WORLD_SIZE", "1"}, {"PMIX_RANK", "0"}});
  EXPECT_TRUE(started_by_mpi());
  launched_with({{"PMI_SIZE", "4"}});
  EXPECT_TRUE(started_by_mpi());
  launched_with({{"SLURM_PROCID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}});
  EXPECT_TRUE(started_by_mpi());
  launched_with({{"PMIX_RANK", "0"}});
  EXPECT_TRUE(started_by_mpi());
}

TEST_F(Launch, ABatchScriptOrAShellInAnAllocationIsNotMpi) {
  launched_with({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}});
  EXPECT_FALSE(started_by_mpi());
  launched_with(
      {{"SLURM_PROCID", "0"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}, {"PMIX_RANK", "0"}});
  EXPECT_FALSE(started_by_mpi());
}

TEST_F(Launch, ManyWorldsOfOneAreToldWithTheRemedy) {
  launched_with({{"SLURM_PROCID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  const Status slurm = check_world_size(1);
  ASSERT_FALSE(slurm.ok());
  EXPECT_THAT(slurm.error().message, testing::HasSubstr("4 processes were started together"));
  EXPECT_THAT(slurm.error().message, testing::HasSubstr("srun --mpi=pmix"));
  EXPECT_TRUE(check_world_size(4).ok());

  launched_with({{"PMI_SIZE", "3"}});
  EXPECT_THAT(check_world_size(1).error().message, testing::HasSubstr("mpirun of the MPI"));
  launched_with({});
  EXPECT_TRUE(check_world_size(1).ok());
}

}  // namespace
}  // namespace regatta
