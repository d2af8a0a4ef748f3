// What `resources` comes to on several hosts.
#include "cluster/settle_hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::HasSubstr;

HostFacts host(const std::string& name, int slots, int cores, int cards = 0) {
  return {.name = name, .slots = slots, .cores = cores, .cards = cards, .why_no_cards = "no driver"};
}

Result<Resources> settle(const std::string& yaml, const std::vector<HostFacts>& hosts) {
  const auto node = parse_yaml(yaml, "exp.yaml");
  EXPECT_TRUE(node.ok());
  ASSIGN_OR_RETURN(Resources resources, read_resources(*node, 2));
  RETURN_IF_ERROR(settle_hosts(resources, *node, hosts));
  return resources;
}

TEST(SettledHosts, WithoutSlotsHaveAsManyAsCores) {
  const auto resources = settle("{hosts: [a, b:2], ranks: 2}", {host("a", 0, 4), host("b", 2, 8)});
  ASSERT_TRUE(resources.ok()) << resources.error().message;
  EXPECT_EQ(resources->crews, 3);
  EXPECT_EQ(resources->threads, 1);
  EXPECT_EQ(resources->crowded, "");
}

TEST(SettledHosts, ThreadsFollowFromTheHostWithTheFewestCoresARank) {
  EXPECT_EQ(settle("{hosts: [a:2, b:2]}", {host("a", 2, 16), host("b", 2, 6)})->threads, 3);
  EXPECT_EQ(settle("{hosts: [a:2, b:2], threads: 5}", {host("a", 2, 16), host("b", 2, 6)})->threads, 5);
}

TEST(SettledHosts, MoreRanksThanCoresAreTold) {
  const auto resources = settle("{hosts: [a:4, b:2]}", {host("a", 4, 2), host("b", 2, 2)});
  EXPECT_THAT(resources->crowded, HasSubstr("4 ranks × 1 threads want 4 cores on host a, but 2"));
  EXPECT_EQ(oversubscription_warning(*resources, 1), resources->crowded);
}

TEST(SettledHosts, CrewsWithoutRoomAreRefusedAtTheirPlace) {
  const auto resources = settle("hosts: [a, b]\ncrews: 4\nranks: 2\n", {host("a", 0, 2), host("b", 0, 2)});
  ASSERT_FALSE(resources.ok());
  EXPECT_THAT(resources.error().message, HasSubstr("exp.yaml:2:8: 4 crews of 2 ranks need 8 slots"));
}

TEST(SettledHosts, CardsOfEachHostAreDealtToTheCrewsThere) {
  const auto resources = settle("{hosts: [a, b], ranks: 2}", {host("a", 0, 8, 4), host("b", 0, 8, 2)});
  ASSERT_TRUE(resources.ok()) << resources.error().message;
  ASSERT_EQ(resources->crews, 3);
  EXPECT_EQ(resources->places[0][0].cards, (std::vector<int>{0, 1}));
  EXPECT_EQ(resources->places[1][0].host, "a");
  EXPECT_EQ(resources->places[1][0].cards, (std::vector<int>{2, 3}));
  EXPECT_EQ(resources->places[2][0].host, "b");
  EXPECT_EQ(resources->places[2][0].cards, (std::vector<int>{0, 1}));
}

TEST(SettledHosts, WithoutCardsOnOneOfThemComputeOnCpusOrAreRefused) {
  EXPECT_TRUE(
      settle("{hosts: [a:1, b:1]}", {host("a", 1, 8, 4), host("b", 1, 8)})->places[0][0].cards.empty());
  const auto refused = settle("hosts: [a:1, b:1]\ndevice: cuda\n", {host("a", 1, 8, 4), host("b", 1, 8)});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              HasSubstr("exp.yaml:2:9: device: there is no card on host b: no driver"));
}

}  // namespace
}  // namespace regatta
