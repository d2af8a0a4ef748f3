// Requests against the partitions of a made-up cluster.
#include "cluster/partitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// As sinfo prints them: name, nodes, CPUs, memory, resources, time limit, job size, name with a star.
const char* const kCluster =
    "main|30|64|256000+|(null)|1-00:00:00|1-infinite|main*\n"
    "main|2|64|1024000|(null)|1-00:00:00|1-infinite|main*\n"
    "gpu|4|96|512000|gpu:a100:4(S:0-1),shard:8|2-00:00:00|1-2|gpu\n"
    "gpu|1|96|512000|gpu:h100:8|2-00:00:00|1-2|gpu\n"
    "long|2|16|64000|(null)|infinite|1|long\n";

std::string refusal_of(const JobRequest& request) {
  const auto chosen = choose_partition(request, parse_partitions(kCluster));
  return chosen.ok() ? "" : chosen.error().message;
}

TEST(Partitions, AreReadWithTheirKindsOfNodes) {
  const auto partitions = parse_partitions(kCluster);
  ASSERT_THAT(partitions, SizeIs(3));
  EXPECT_EQ(partitions[0].name, "main");
  EXPECT_TRUE(partitions[0].is_default);
  EXPECT_EQ(partitions[0].nodes(), 32);
  EXPECT_EQ(partitions[0].max_seconds, 86400);
  EXPECT_FALSE(partitions[0].max_nodes);
  EXPECT_EQ(partitions[0].kinds[0].memory_mb, 256000);
  EXPECT_FALSE(partitions[1].is_default);
  EXPECT_EQ(partitions[1].max_nodes, 2);
  EXPECT_EQ(partitions[1].kinds[0].gpus, 4);
  EXPECT_EQ(partitions[1].kinds[1].gpus, 8);
  EXPECT_FALSE(partitions[2].max_seconds);
  EXPECT_EQ(partitions[2].max_nodes, 1);
}

TEST(Partitions, LinesOfAnotherFormAreLeftOut) {
  EXPECT_THAT(parse_partitions("sinfo: something\n\nmain|30\n"), SizeIs(0));
}

TEST(ChoosePartition, TakesTheDefaultOneOrTheFirstThatFits) {
  EXPECT_EQ(choose_partition({.nodes = 32}, parse_partitions(kCluster))->name, "main");
  EXPECT_EQ(choose_partition({.gpus_per_node = 8, .partition = "main,gpu"}, parse_partitions(kCluster))->name,
            "gpu");
}

TEST(ChoosePartition, WhatCanNeverBeHadIsRefusedWithTheLimit) {
  EXPECT_THAT(refusal_of({.nodes = 33}),
              HasSubstr("partition main can never run this: the job asks for 33 nodes, but it has 32"));
  EXPECT_THAT(refusal_of({.nodes = 3, .partition = "gpu"}), HasSubstr("may have at most 2"));
  EXPECT_THAT(refusal_of({.time = "25:00:00"}),
              HasSubstr("25 h 00 min, but a job may take at most 24 h 00 min"));
  EXPECT_THAT(refusal_of({.ntasks_per_node = 16, .cpus_per_task = 8}),
              HasSubstr("128 CPUs a node (16 tasks of 8), but its nodes have at most 64"));
  EXPECT_THAT(refusal_of({.memory = "2T"}),
              HasSubstr("2097152 MB a node (--mem), but its nodes have at most 1024000"));
  EXPECT_THAT(refusal_of({.gpus_per_node = 1}), HasSubstr("1 GPUs a node, but its nodes have at most 0"));
  EXPECT_THAT(refusal_of({.nodes = 3, .memory = "1000G"}), HasSubstr("3 nodes with all that, but it has 2"));
}

TEST(ChoosePartition, AMistypedNameIsAnsweredWithTheNearest) {
  EXPECT_THAT(refusal_of({.partition = "mian"}), HasSubstr("did you mean 'main'"));
}

TEST(ParseTimeLimit, ReadsAllFormsOfSbatch) {
  EXPECT_EQ(parse_time_limit("90"), 90 * 60);
  EXPECT_EQ(parse_time_limit("1:30"), 90);
  EXPECT_EQ(parse_time_limit("1:30:00"), 5400);
  EXPECT_EQ(parse_time_limit("1-12"), 36 * 3600);
  EXPECT_EQ(parse_time_limit("1-12:30"), 36 * 3600 + 1800);
  EXPECT_EQ(parse_time_limit("1-12:30:05"), 36 * 3600 + 1805);
  for (const char* wrong : {"", "4h", "1:2:3:4", "-1", "1-"}) {
    EXPECT_FALSE(parse_time_limit(wrong)) << wrong;
  }
}

TEST(ParseMemory, ReadsUnits) {
  EXPECT_EQ(parse_memory_mb("4000"), 4000);
  EXPECT_EQ(parse_memory_mb("2048K"), 2);
  EXPECT_EQ(parse_memory_mb("1.5G"), 1536);
  EXPECT_FALSE(parse_memory_mb(""));
  EXPECT_FALSE(parse_memory_mb("4X"));
  EXPECT_FALSE(parse_memory_mb("lots"));
}

}  // namespace
}  // namespace regatta
