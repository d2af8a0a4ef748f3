// Crews in allocations of all shapes.
#include "cluster/slurm_room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::HasSubstr;

struct Question {
  std::string yaml;
  std::vector<int> cpus = {4, 4};
  int gpus = 0;  // a node
  std::optional<int> cpus_a_task = {};
  int cpus_a_core = 1;
};

Result<Resources> settle(const Question& question) {
  const auto node = parse_yaml(question.yaml, "exp.yaml");
  EXPECT_TRUE(node.ok());
  ASSIGN_OR_RETURN(Resources resources, read_resources(*node, 1));
  const SlurmAllocation allocation{.job = "7",
                                   .node_list = "n[1-2]",
                                   .cpus = question.cpus,
                                   .gpus_a_node = question.gpus,
                                   .cpus_a_core = question.cpus_a_core,
                                   .cpus_a_task = question.cpus_a_task};
  RETURN_IF_ERROR(settle_room(resources, *node, {.allocation = allocation, .on_cards = question.gpus > 0}));
  return resources;
}

void expect_room(const Question& question, int crews, int threads, int nodes_a_crew = 1) {
  const auto resources = settle(question);
  ASSERT_TRUE(resources.ok()) << resources.error().message;
  EXPECT_EQ(resources->crews, crews) << question.yaml;
  EXPECT_EQ(resources->threads, threads) << question.yaml;
  EXPECT_EQ(resources->slurm->nodes_a_crew, nodes_a_crew) << question.yaml;
}

TEST(SettleRoom, CrewsFillTheNodes) {
  expect_room({.yaml = "{ranks: 1}"}, 8, 1);
  expect_room({.yaml = "{ranks: 2}"}, 4, 1);
  expect_room({.yaml = "{ranks: 2, threads: 2}"}, 2, 2);
  expect_room({.yaml = "{ranks: 1}", .cpus = {4, 2, 2}}, 8, 1);
}

TEST(SettleRoom, CrewsStayWholeOnANode) {
  expect_room({.yaml = "{ranks: 2}", .cpus = {3, 3}}, 2, 1);
  expect_room({.yaml = "{ranks: 3}", .cpus = {2, 8}}, 2, 1);
}

TEST(SettleRoom, StepsTakeWholeCores) {
  expect_room({.yaml = "{threads: 1}", .cpus = {8}, .cpus_a_core = 2}, 4, 1);
  expect_room({.yaml = "{ranks: 3, threads: 1}", .cpus = {8, 8}, .cpus_a_core = 2}, 4, 1);
  expect_room({.yaml = "{ranks: 2, threads: 1}", .cpus = {8}, .cpus_a_core = 2}, 4, 1);
}

TEST(SettleRoom, ThreadsTakeWhatCrewsLeave) {
  expect_room({.yaml = "{crews: 2}"}, 2, 4);
  expect_room({.yaml = "{crews: 1, ranks: 2}"}, 1, 2);
  expect_room({.yaml = "{crews: 3}"}, 3, 2);
  expect_room({.yaml = "{ranks: 1}", .cpus_a_task = 2}, 4, 2);
}

TEST(SettleRoom, ACrewThatIsTooLargeForANodeTakesSeveral) {
  expect_room({.yaml = "{ranks: 6}"}, 1, 1, 2);
  expect_room({.yaml = "{ranks: 4, threads: 2}", .cpus = {4, 4, 4, 4}}, 2, 2, 2);
}

TEST(SettleRoom, MoreCrewsThanHaveRoomComeDown) {
  const auto resources = settle({.yaml = "{crews: 20}"});
  ASSERT_TRUE(resources.ok());
  EXPECT_EQ(resources->crews, 8);
  EXPECT_THAT(resources->slurm->describe(8), HasSubstr("no room for 20"));
}

TEST(SettleRoom, CardsAreDividedAmongCrews) {
  const Question question{.yaml = "{ranks: 2}", .cpus = {32, 32}, .gpus = 8};
  expect_room(question, 8, 4);
  EXPECT_EQ(settle(question)->slurm->gpus_a_node, 2);
  EXPECT_TRUE(settle(question)->on_cards());
  const Question shared{.yaml = "{ranks: 2, ranks_per_gpu: 2}", .cpus = {32}, .gpus = 4};
  expect_room(shared, 4, 4);
  EXPECT_EQ(settle(shared)->slurm->gpus_a_node, 1);
  const Question wide{.yaml = "{ranks: 16}", .cpus = {64, 64}, .gpus = 8};
  expect_room(wide, 1, 1, 2);
  EXPECT_EQ(settle(wide)->slurm->gpus_a_node, 8);
  expect_room({.yaml = "{gpus: 4, ranks: 4}", .cpus = {64}, .gpus = 8}, 2, 8);
}

TEST(SettleRoom, WhatNeverFitsIsToldWithTheAllocation) {
  const auto none = settle({.yaml = "ranks: 9\n"});
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message, HasSubstr("exp.yaml:1:8"));
  EXPECT_THAT(none.error().message, HasSubstr("2 nodes with 4 CPUs each"));
  EXPECT_FALSE(settle({.yaml = "threads: 5\n"}).ok());
  EXPECT_FALSE(settle({.yaml = "gpus: [0, 1]\n", .cpus = {8}, .gpus = 2}).ok());
}

TEST(AllocationFor, TheFileMayForceALauncher) {
  const auto node = parse_yaml("launcher: slurm\n", "exp.yaml");
  const SlurmAllocation allocation{.job = "7", .node_list = "n1", .cpus = {4}};
  EXPECT_TRUE(allocation_for({.launcher = "auto"}, *node, allocation).value());
  EXPECT_FALSE(allocation_for({.launcher = "mpirun"}, *node, allocation).value());
  EXPECT_FALSE(allocation_for({.launcher = "auto"}, *node, {}).value());
  const auto refused = allocation_for({.launcher = "slurm"}, *node, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("exp.yaml:1:11"));
  EXPECT_THAT(refused.error().message, HasSubstr("regatta submit"));
}

}  // namespace
}  // namespace regatta
