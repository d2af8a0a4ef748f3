// Who gets which cores, on machines that hwloc makes up.
#include "devices/core_assignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kLaptop = "core:4 pu:2";                   // CPUs 0-1, 2-3, … are a core each
constexpr const char* kServer = "package:2 numa:2 core:8 pu:2";  // 32 cores, a node has 16 CPUs
constexpr const char* kOneThread = "package:2 core:8 pu:1";      // 16 cores, no hyperthreads
constexpr const char* kCaches = "package:1 l3:4 core:4 pu:1";    // 16 cores, four a cache
constexpr const char* kTwoCores = "core:2 pu:1";

std::vector<Core> machine(const std::string& description) {
  auto cores = describe_cores(description);
  EXPECT_TRUE(cores.ok()) << description;
  return *cores;
}

// As `regatta devices` shows it: a line a crew, its ranks with a bar between them.
std::vector<std::string> in_words(const std::vector<RankCpus>& crews) {
  std::vector<std::string> lines;
  for (const RankCpus& crew : crews) {
    std::string line;
    for (const CpuSet& cpus : crew) {
      line += (line.empty() ? "" : " | ") + format_cpus(cpus);
    }
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> dealt(const std::string& description, const CoreDemand& demand) {
  return in_words(deal_cores(machine(description), demand));
}

TEST(DealCores, ACrewHasANodeToItselfWhereThereAreEnough) {
  EXPECT_THAT(dealt(kServer, {.crews = 4, .threads = 8}), ElementsAre("0-15", "16-31", "32-47", "48-63"));
  EXPECT_THAT(dealt(kServer, {.crews = 2, .threads = 8}), ElementsAre("0-15", "32-47"))
      << "a package each, and within it one node";
}

TEST(DealCores, CrewsShareANodeInEqualParts) {
  EXPECT_THAT(dealt(kServer, {.crews = 8, .threads = 2}),
              ElementsAre("0-7", "8-15", "16-23", "24-31", "32-39", "40-47", "48-55", "56-63"));
  EXPECT_THAT(dealt(kOneThread, {.crews = 3, .threads = 4}), ElementsAre("0-3", "4-7", "8-15"));
}

TEST(DealCores, RanksOfACrewAreNeighboursWithinItsPart) {
  EXPECT_THAT(dealt(kServer, {.crews = 4, .ranks = 2, .threads = 4}),
              ElementsAre("0-7 | 8-15", "16-23 | 24-31", "32-39 | 40-47", "48-55 | 56-63"));
  EXPECT_THAT(dealt(kTwoCores, {.ranks = 2}), ElementsAre("0 | 1"));
}

TEST(DealCores, ACrewThatFitsOnNoNodeGoesOverThem) {
  EXPECT_THAT(dealt(kServer, {.crews = 1, .ranks = 4, .threads = 8}),
              ElementsAre("0-15 | 16-31 | 32-47 | 48-63"));
  EXPECT_THAT(dealt(kOneThread, {.crews = 1, .ranks = 2, .threads = 8}), ElementsAre("0-7 | 8-15"));
  EXPECT_THAT(dealt(kOneThread, {.crews = 5, .threads = 3}),
              ElementsAre("0-2", "3-5", "6-8", "9-11", "12-15"))
      << "two a package fit whole, so one lies over both";
}

TEST(DealCores, ThreadsThatShareDataShareACache) {
  EXPECT_THAT(dealt(kCaches, {.crews = 4, .threads = 3}), ElementsAre("0-3", "4-7", "8-11", "12-15"));
  EXPECT_THAT(dealt(kCaches, {.crews = 8, .threads = 2}),
              ElementsAre("0-1", "2-3", "4-5", "6-7", "8-9", "10-11", "12-13", "14-15"));
  EXPECT_THAT(dealt(kCaches, {.crews = 3, .threads = 3}), ElementsAre("0-3", "4-7", "8-15"))
      << "whole caches";
}

TEST(DealCores, WholeCoresComeBeforeHyperthreads) {
  EXPECT_THAT(dealt(kLaptop, {.crews = 4}), ElementsAre("0-1", "2-3", "4-5", "6-7"));
  EXPECT_THAT(dealt(kLaptop, {.crews = 8}), ElementsAre("0", "1", "2", "3", "4", "5", "6", "7"));
  EXPECT_THAT(dealt(kLaptop, {.crews = 3, .threads = 2}), ElementsAre("0-1", "2-4", "5-7"))
      << "six threads are too many for four cores";
}

TEST(DealCores, NothingIsDealtWhereRanksWouldShareACpu) {
  EXPECT_THAT(dealt(kLaptop, {.crews = 9}), IsEmpty());
  EXPECT_THAT(dealt(kTwoCores, {.crews = 2, .threads = 2}), IsEmpty());
  EXPECT_THAT(in_words(deal_cores({}, {})), IsEmpty());
  EXPECT_THAT(dealt(kTwoCores, {.crews = 1'000'000, .ranks = 1'000'000}), IsEmpty());
}

// Whatever is asked for: every rank has as many CPUs as threads, and none has another's.
TEST(DealCores, EveryRankHasItsThreadsAndNoCpuIsDealtTwice) {
  for (const char* description : {kLaptop, kServer, kOneThread, kCaches, kTwoCores}) {
    const std::vector<Core> cores = machine(description);
    for (int crews = 1; crews <= 9; ++crews) {
      for (int ranks = 1; ranks <= 5; ++ranks) {
        for (int threads = 1; threads <= 5; ++threads) {
          CpuSet seen;
          for (const RankCpus& crew : deal_cores(cores, {crews, ranks, threads})) {
            EXPECT_EQ(crew.size(), static_cast<std::size_t>(ranks));
            for (const CpuSet& cpus : crew) {
              EXPECT_GE(cpus.size(), static_cast<std::size_t>(threads)) << description;
              EXPECT_THAT(intersected(seen, cpus), IsEmpty()) << description;
              seen = united(seen, cpus);
            }
          }
        }
      }
    }
  }
}

TEST(DealCores, RanksGetCoresNearTheirCards) {
  const std::vector<Core> cores = machine(kOneThread);
  const CpuSet first = *parse_cpus("0-7");
  const CpuSet second = *parse_cpus("8-15");
  const std::vector<CpuSet> near{second, first, second, first};
  EXPECT_THAT(in_words(deal_cores(cores, {.crews = 4}, near)), ElementsAre("8-11", "0-3", "12-15", "4-7"));
  EXPECT_THAT(in_words(deal_cores(cores, {.crews = 2, .ranks = 2}, near)),
              ElementsAre("8-11 | 0-3", "12-15 | 4-7"))
      << "cards count more than a crew's being in one place";
}

TEST(DealCores, RanksThatFindNoRoomNearTheirCardsGoElsewhere) {
  const CpuSet first = *parse_cpus("0-7");
  const std::vector<CpuSet> near{first, first, first};
  EXPECT_THAT(in_words(deal_cores(machine(kOneThread), {.crews = 3, .threads = 4}, near)),
              ElementsAre("0-3", "4-7", "8-15"));
}

TEST(Cores, OfThisHostAreWithinTheAffinity) {
  const CpuSet allowed = allowed_cpus();
  CpuSet found;
  for (const Core& core : find_cores(allowed)) {
    found = united(found, core.cpus);
  }
  EXPECT_EQ(found, allowed);
}

TEST(Cores, WhatIsNotAllowedIsLeftOut) {
  const CpuSet one{allowed_cpus().front()};
  const std::vector<Core> cores = find_cores(one);
  ASSERT_EQ(cores.size(), 1U);
  EXPECT_EQ(cores[0].cpus, one);
}

TEST(Cores, AMachineThatHwlocDoesNotKnowIsAMistake) { EXPECT_FALSE(describe_cores("many cores").ok()); }

TEST(CpusNear, AreWhatTheSystemTellsOfTheBus) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "near_cpus_test";
  std::filesystem::create_directories(folder / "0000:1b:00.0");
  std::ofstream(folder / "0000:1b:00.0" / "local_cpulist") << "0-15,64-79\n";
  EXPECT_EQ(format_cpus(cpus_near("0000:1b:00.0", folder)), "0-15,64-79");
  EXPECT_THAT(cpus_near("0000:ff:00.0", folder), IsEmpty());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace regatta
