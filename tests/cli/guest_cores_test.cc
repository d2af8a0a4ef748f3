// What ranks that join together conclude from one another's CPUs.
#include "cli/guest_cores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::ElementsAre;

const CpuSet kAll{0, 1, 2, 3};

TEST(GuestCores, RanksOnTheSameCpusShareThemAndThoseOfOtherHostsAreNotCounted) {
  const std::vector<RankMask> masks{{.host = "a", .cpus = kAll},
                                    {.host = "b", .cpus = {0}},
                                    {.host = "a", .cpus = kAll},
                                    {.host = "a", .cpus = {}}};
  const HostRanks ranks = ranks_on_host(masks, 2);
  EXPECT_THAT(ranks.here, ElementsAre(0, 2)) << "the last one does not compute";
  EXPECT_EQ(ranks.cpus, kAll);
  EXPECT_FALSE(ranks.are_bound);
  EXPECT_EQ(guest_threads({}, ranks, 4, {.cpus = {1, 2, 3}}), 1) << "three CPUs for two";
  EXPECT_EQ(guest_threads({}, ranks, 4, {.cpus = kAll}), 2);
}

TEST(GuestCores, RanksThatTheirLauncherHasBoundHaveTheirOwnThreads) {
  const std::vector<RankMask> masks{{.host = "a", .cpus = {0, 1}}, {.host = "a", .cpus = {2, 3}}};
  const HostRanks ranks = ranks_on_host(masks, 1);
  EXPECT_TRUE(ranks.are_bound);
  EXPECT_EQ(ranks.cpus, kAll);
  EXPECT_EQ(guest_threads({}, ranks, 2, {.cpus = kAll}), 2);
}

TEST(GuestCores, WhereOthersHaveTheCpusAGuestHasOneThreadAndWhereNobodyDealsThemItsShare) {
  const std::vector<RankMask> masks{{.host = "a", .cpus = kAll}};
  const HostRanks ranks = ranks_on_host(masks, 0);
  EXPECT_EQ(guest_threads({}, ranks, 4, {}), 1);
  EXPECT_EQ(guest_threads({}, ranks, 4, {.why_unbound = "resources.bind is none"}), 4);
}

TEST(GuestCores, ALimitOfTheContainerBoundsTheThreads) {
  const std::vector<RankMask> masks{{.host = "a", .cpus = kAll, .limit = 2}};
  EXPECT_EQ(guest_threads({}, ranks_on_host(masks, 0), 4, {.why_unbound = "a limit"}), 2);
}

TEST(GuestCores, WhatTheUserAsksForHolds) {
  const std::vector<RankMask> masks{{.host = "a", .cpus = kAll}};
  EXPECT_EQ(guest_threads({.threads = 7}, ranks_on_host(masks, 0), 4, {.cpus = kAll}), 7);
}

}  // namespace
}  // namespace regatta
