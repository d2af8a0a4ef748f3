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
  expect_mistake("crews: 2\ndevice: cuda\n", "exp.yaml:2:9", "no CUDA");
  expect_mistake("device: gpu\n", "exp.yaml:1:9", "cuda");
  expect_mistake("lanes: 0\n", "exp.yaml:1:8", "1");
  expect_mistake("crew: 4\n", "exp.yaml:1:1", "crews");
}

TEST(Resources, OversubscriptionIsNoticed) {
  EXPECT_FALSE(oversubscription_warning({.crews = 2, .ranks = 2, .threads = 2}, 8));
  const auto warning = oversubscription_warning({.crews = 2, .ranks = 2, .threads = 2}, 4);
  ASSERT_TRUE(warning);
  EXPECT_THAT(*warning, HasSubstr("want 8 cores, but 4"));
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
