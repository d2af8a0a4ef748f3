// What `resources:` means on a machine with so many cores.
#include "cluster/resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::HasSubstr;

Result<Resources> read(const std::string& yaml, int cores = 8) {
  const auto node = parse_yaml(yaml, "exp.yaml");
  EXPECT_TRUE(node.ok());
  return read_resources(*node, cores);
}

TEST(Resources, NothingSaidMeansACrewOfOneForEveryCore) {
  const auto resources = read_resources(Node::null({}), 2);
  ASSERT_TRUE(resources.ok());
  EXPECT_EQ(resources->crews, 2);
  EXPECT_EQ(resources->ranks, 1);
  EXPECT_EQ(resources->threads, 1);
  EXPECT_EQ(resources->max_attempts, 3);
}

TEST(Resources, RanksKeepToTheirCoresUnlessToldNot) {
  EXPECT_TRUE(read("{crews: 2}")->bind);
  EXPECT_FALSE(read("{bind: none}")->bind);
  EXPECT_FALSE(read("{bind: cores}").ok());
}

TEST(Resources, CrewsAreElasticUnlessTheFileSaysOtherwise) {
  EXPECT_TRUE(read("{}")->elastic);
  EXPECT_FALSE(read("{elastic: false}")->elastic);
  EXPECT_THAT(read("{elastic: 3}").error().message, HasSubstr("elastic"));
}

TEST(Resources, CrewsFillTheCoresThatTheirRanksAndThreadsLeave) {
  EXPECT_EQ(read("{ranks: 2}")->crews, 4);
  EXPECT_EQ(read("{ranks: 2, threads: 2}")->crews, 2);
  EXPECT_EQ(read("{ranks: 16}")->crews, 1);
}

TEST(Resources, ThreadsFillTheCoresThatCrewsAndRanksLeave) {
  EXPECT_EQ(read("{crews: 1}")->threads, 8);
  EXPECT_EQ(read("{crews: 2, ranks: 2}")->threads, 2);
  EXPECT_EQ(read("{crews: 3, ranks: 5}")->threads, 1);
}

TEST(Resources, LanesMayBeLeftToTheMemoryOfACardThatNobodyShares) {
  EXPECT_EQ(read("{lanes: auto}")->lanes, kLanesThatFit);
  EXPECT_FALSE(read("{lanes: auto, ranks_per_gpu: 2}").ok());
}

TEST(Resources, MistakesAreToldWithTheirPlace) {
  const auto expect_mistake = [](const std::string& yaml, const std::string& place,
                                 const std::string& words) {
    const auto resources = read(yaml);
    ASSERT_FALSE(resources.ok()) << yaml;
    EXPECT_EQ(resources.error().kind, Error::Kind::user_mistake);
    EXPECT_THAT(resources.error().message, HasSubstr(place));
    EXPECT_THAT(resources.error().message, HasSubstr(words));
  };
  expect_mistake("crews: 0\n", "exp.yaml:1:8", "1");
  expect_mistake("device: gpu\n", "exp.yaml:1:9", "cuda");
  expect_mistake("lanes: 0\n", "exp.yaml:1:8", "1");
  expect_mistake("lanes: many\n", "exp.yaml:1:8", "integer");
  expect_mistake("crew: 4\n", "exp.yaml:1:1", "crews");
  expect_mistake("gpus: 0\n", "exp.yaml:1:7", "1");
  expect_mistake("gpus: [0, -1]\n", "exp.yaml:1:11", "0");
  expect_mistake("gpus: [0, 2, 0]\n", "exp.yaml:1:14", "card 0 is named twice");
  expect_mistake("gpus: []\n", "exp.yaml:1:7", "device: cpu");
  expect_mistake("gpus: all\n", "exp.yaml:1:7", "integer");
  expect_mistake("ranks_per_gpu: 0\n", "exp.yaml:1:16", "1");
}

TEST(Resources, OversubscriptionIsNoticed) {
  EXPECT_FALSE(oversubscription_warning({.crews = 2, .ranks = 2, .threads = 2}, 8));
  EXPECT_FALSE(oversubscription_warning({.crews = 2, .ranks = 2, .threads = 2, .slurm = SlurmRoom{}}, 4));
  const auto warning = oversubscription_warning({.crews = 2, .ranks = 2, .threads = 2}, 4);
  ASSERT_TRUE(warning);
  EXPECT_THAT(*warning, HasSubstr("want 8 cores, but 4"));
}

using Cards = std::vector<std::vector<int>>;

// On a host with so many cards, and 8 cores.
Result<Resources> settle(const std::string& yaml, int cards, std::optional<int> crews = {}) {
  const auto node = parse_yaml(yaml, "exp.yaml");
  EXPECT_TRUE(node.ok());
  ASSIGN_OR_RETURN(Resources resources, read_resources(*node, 8));
  const HostCards host{.host = "a", .count = cards, .why_none = cards == 0 ? "no driver is loaded" : ""};
  RETURN_IF_ERROR(settle_devices(resources, *node, host, 8, crews));
  return resources;
}

void expect_refused(const Result<Resources>& resources, const std::string& place, const std::string& words) {
  ASSERT_FALSE(resources.ok());
  EXPECT_EQ(resources.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(resources.error().message, HasSubstr(place));
  EXPECT_THAT(resources.error().message, HasSubstr(words));
}

TEST(Cards, AutoTakesThemWhereThereAreSome) {
  EXPECT_TRUE(settle("{crews: 2}", 0)->cards.empty());
  EXPECT_EQ(settle("{crews: 2}", 2)->cards, (Cards{{0}, {1}}));
  EXPECT_TRUE(settle("{crews: 2, device: cpu}", 2)->cards.empty());
}

TEST(Cards, CudaWithoutCardsIsRefusedWithTheReason) {
  expect_refused(settle("crews: 2\ndevice: cuda\n", 0), "exp.yaml:2:9",
                 "no card for 'cuda' on host a: no driver is loaded; use 'auto' or 'cpu'");
}

TEST(Cards, ACrewForEachWhereTheFileDoesNotSayHowMany) {
  const auto resources = settle("{}", 4);
  ASSERT_TRUE(resources.ok());
  EXPECT_EQ(resources->crews, 4);
  EXPECT_EQ(resources->threads, 2);
  EXPECT_EQ(settle("{ranks: 2}", 4)->cards, (Cards{{0, 1}, {2, 3}}));
  EXPECT_EQ(settle("{gpus: [3]}", 4)->cards, (Cards{{3}}));
  EXPECT_EQ(settle("{ranks_per_gpu: 3}", 1)->cards, (Cards{{0}, {0}, {0}}));
  EXPECT_EQ(settle("{threads: 1}", 4)->threads, 1);
}

TEST(Cards, CrewsThatMpirunHasMadeAreNotChanged) {
  EXPECT_EQ(settle("{}", 4, 2)->cards, (Cards{{0}, {1}}));
  EXPECT_TRUE(settle("{}", 1, 2)->cards.empty());
  EXPECT_THAT(settle("{}", 1, 2)->why_cpus, HasSubstr("host a has 1 card"));
  expect_refused(settle("{device: cuda}", 1, 2), "host a has 1 card", "2 crews");
}

TEST(Cards, MoreRanksThanCardsAreRefusedUnlessTheyMayShare) {
  expect_refused(settle("crews: 3\ndevice: cuda\n", 2), "host a has 2 cards",
                 "for 3 ranks (3 crews of 1 rank), and 1 rank may use a card at once");
  expect_refused(settle("crews: 3\nranks_per_gpu: 1\n", 2), "host a has 2 cards", "3 ranks");
  EXPECT_EQ(settle("{crews: 3, ranks_per_gpu: 2}", 2)->cards, (Cards{{0}, {1}, {0}}));
}

TEST(Cards, AreLeftAloneWhereAutoHasTooFewOfThem) {
  const auto resources = settle("{crews: 3, threads: 2}", 2);
  EXPECT_TRUE(resources->cards.empty());
  EXPECT_EQ(resources->crews, 3);
  EXPECT_EQ(resources->threads, 2);
  EXPECT_THAT(resources->why_cpus, HasSubstr("host a has 2 cards for 3 ranks"));
}

TEST(Cards, ThatAreNotThereAreNamedAtTheirPlace) {
  expect_refused(settle("crews: 1\ngpus: [0, 4]\n", 2), "exp.yaml:2:11", "no card 4 on host a, which has 2");
  expect_refused(settle("crews: 1\ngpus: 3\n", 2), "exp.yaml:2:7", "asks for 3 a crew");
}

TEST(Resources, TheWireHasOneOfThreeFormats) {
  EXPECT_EQ(read("{}")->wire, "fp32");
  EXPECT_EQ(read("{wire: bf16}")->wire, "bf16");
  const auto wrong = read("{wire: fp8}");
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("fp16"), std::string::npos) << wrong.error().message;
}

}  // namespace
}  // namespace regatta
