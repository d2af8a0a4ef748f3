// The command of a step, without starting it.
#include "cluster/slurm_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

const CrewSpec kCrew{
    .name = "crew-1.2", .slots = {1}, .folder = "/runs/a", .log = "/runs/a/logs/crew-1.2.log"};
const Surroundings kRoomy{.program = "/bin/regatta", .cores = 64};
const SlurmAllocation kTwoNodes{.job = "12", .node_list = "n[1-2]", .cpus = {8, 8}};

std::vector<std::string> step(Resources resources, const SlurmRoom& room, StepRanks how = StepRanks::pmix) {
  resources.slurm = room;
  return step_command(kCrew, resources, kRoomy, how).command;
}

TEST(StepCommand, RanksFindEachOtherThroughPmix) {
  EXPECT_THAT(step({.ranks = 4, .threads = 2}, {.allocation = kTwoNodes}),
              ElementsAre("srun", "--mpi=pmix", "--exact", "--kill-on-bad-exit=1", "--quit-on-interrupt",
                          "--input=none", "--export=ALL", "--job-name=crew-1.2", "--nodes=1", "--ntasks=4",
                          "--cpus-per-task=2", "/bin/regatta", "worker", "--study", "/runs/a", "--crew",
                          "crew-1.2", "--threads", "2", "--lanes", "1", "--ignore-signals"));
}

TEST(StepCommand, ACrewOfOneNeedsNoMpi) {
  EXPECT_THAT(step({.threads = 3}, {.allocation = kTwoNodes}),
              IsSupersetOf({"--mpi=none", "--ntasks=1", "--cpus-per-task=3"}));
}

TEST(StepCommand, WithoutPmixOneTaskStartsTheRanksOnItsNode) {
  const auto command = step({.ranks = 4, .threads = 2}, {.allocation = kTwoNodes}, StepRanks::mpirun);
  EXPECT_THAT(command, IsSupersetOf({"--mpi=none", "--nodes=1", "--ntasks=1", "--cpus-per-task=8", "mpirun",
                                     "--divide-cpus"}));
  EXPECT_THAT(step({.ranks = 4, .bind = false}, {.allocation = kTwoNodes}, StepRanks::mpirun),
              Not(Contains("--divide-cpus")));
  EXPECT_THAT(step({.ranks = 4}, {.allocation = kTwoNodes}), Not(Contains("--divide-cpus")));
}

TEST(StepCommand, ALargeCrewLiesOverItsNodes) {
  EXPECT_THAT(step({.ranks = 6}, {.allocation = kTwoNodes, .nodes_a_crew = 2}),
              IsSupersetOf({"--nodes=2", "--ntasks=6", "--ntasks-per-node=3"}));
}

TEST(StepCommand, CardsAreAskedForAndOtherwiseLeft) {
  SlurmAllocation with_cards = kTwoNodes;
  with_cards.gpus_a_node = 4;
  const auto command = step({.ranks = 2}, {.allocation = with_cards, .gpus_a_node = 2});
  EXPECT_THAT(command, IsSupersetOf({"--gres=gpu:2", "--ranks-per-gpu"}));
  EXPECT_THAT(step({}, {.allocation = with_cards}),
              AllOf(Contains("--gres=none"), Not(Contains("--ranks-per-gpu"))));
  EXPECT_THAT(step({}, {.allocation = kTwoNodes}), Not(Contains(StartsWith("--gres"))));
}

TEST(StepCommand, AStepTakesItsShareOfTheMemory) {
  SlurmAllocation a_node = kTwoNodes;
  a_node.memory_a_node = 16000;
  EXPECT_THAT(step({.ranks = 2, .threads = 2}, {.allocation = a_node}), Contains("--mem=8000M"));
  SlurmAllocation a_cpu = kTwoNodes;
  a_cpu.memory_a_cpu = 500;
  EXPECT_THAT(step({.ranks = 2}, {.allocation = a_cpu}), Contains("--mem-per-cpu=500M"));
  EXPECT_THAT(step({.ranks = 2}, {.allocation = kTwoNodes}), Not(Contains(HasSubstr("--mem"))));
  EXPECT_THAT(step({.ranks = 9}, {.allocation = a_node, .nodes_a_crew = 2}), Contains("--mem=10000M"))
      << "one of the nodes has five ranks";
  a_node.cpus_a_core = 2;
  EXPECT_THAT(step({.ranks = 3}, {.allocation = a_node}), Contains("--mem=8000M")) << "two whole cores";
}

TEST(StepCommand, WhatTheJobAskedForIsNotAskedForAgain) {
  Resources resources;
  resources.slurm = SlurmRoom{.allocation = kTwoNodes};
  const CrewCommand command = step_command(kCrew, resources, kRoomy, StepRanks::pmix);
  EXPECT_THAT(command.removed_prefixes, IsSupersetOf({"SLURM_NTASKS", "SLURM_MEM_PER", "SLURM_GPUS"}));
}

TEST(EndedBySlurm, IsReadFromTheLastWords) {
  EXPECT_TRUE(ended_by_slurm(
      "crew-0.1: exited with code 143; the end of log:\n  slurmstepd: error: *** STEP 5.0 ON n1 "
      "CANCELLED AT 2026-11-21T21:35:09 DUE TO PREEMPTION ***"));
  EXPECT_TRUE(ended_by_slurm("slurmstepd: error: *** STEP 5.0 ON n1 CANCELLED AT … DUE TO TIME LIMIT ***"));
  EXPECT_FALSE(ended_by_slurm("slurmstepd: error: *** STEP 5.0 ON n1 CANCELLED AT 2026-11-21T21:35:09 ***"));
  EXPECT_FALSE(ended_by_slurm("crew-0.1: killed by signal 9"));
}

}  // namespace
}  // namespace regatta
