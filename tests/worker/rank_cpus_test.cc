// What ranks conclude from the CPUs that they and the others may run on.
#include "worker/rank_cpus.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(RankCpus, RanksOnTheSameCpusShareThem) {
  const std::vector<RankMask> masks{{.host = "a", .cpus = {}},
                                    {.host = "a", .cpus = {0, 1}},
                                    {.host = "b", .cpus = {0, 1}},
                                    {.host = "a", .cpus = {0, 1}}};
  for (const auto& [rank, index] : {std::pair{1, 0}, {3, 1}}) {
    const auto sharers = sharers_of(masks, rank);
    ASSERT_TRUE(sharers) << rank;
    EXPECT_EQ(sharers->index, index);
    EXPECT_EQ(sharers->of, 2);
  }
  EXPECT_FALSE(sharers_of(masks, 2)) << "alone on its host";
}

TEST(RankCpus, RanksThatSomebodyHasBoundAreLeftAlone) {
  const std::vector<RankMask> bound{{.host = "a", .cpus = {0}}, {.host = "a", .cpus = {1}}};
  EXPECT_FALSE(sharers_of(bound, 0));
  EXPECT_FALSE(sharers_of(bound, 1));
  const std::vector<RankMask> overlapping{{.host = "a", .cpus = {0, 1}}, {.host = "a", .cpus = {1}}};
  EXPECT_FALSE(sharers_of(overlapping, 0));
  EXPECT_FALSE(sharers_of(overlapping, 1));
}

TEST(RankCpus, AHostsCoresAreThoseOfItsRanksTogether) {
  std::vector<RankMask> masks{{.host = "a", .cpus = {0}},
                              {.host = "b", .cpus = {0, 1, 2}},
                              {.host = "a", .cpus = {1}},
                              {.host = "a", .cpus = {0, 1}}};
  EXPECT_EQ(cores_of_host(masks, 0), 2);
  EXPECT_EQ(cores_of_host(masks, 1), 3);
  masks[1].limit = 2;
  EXPECT_EQ(cores_of_host(masks, 1), 2) << "its limit";
}

TEST(RankCpus, ACrewOfOneSeesItsOwn) {
  const auto communicator = make_single_communicator();
  const auto masks = gather_masks(*communicator);
  ASSERT_TRUE(masks.ok());
  ASSERT_EQ(masks->size(), 1U);
  EXPECT_EQ(masks->front().cpus, allowed_cpus());
  ASSERT_TRUE(divide_cpus(*communicator, {}).ok());
  EXPECT_EQ(allowed_cpus(), masks->front().cpus) << "there is nobody to share them with";
}

}  // namespace
}  // namespace regatta
