// What a plan costs, and who rows where.
#include <gtest/gtest.h>

#include "cli/mpi_run.h"
#include "cli/study_plan.h"

namespace regatta {
namespace {

std::unique_ptr<Scheduler> scheduler(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "test.yaml").value();
  static const Space space;
  return make_scheduler(read_typed(node, "scheduler").value(), {.space = &space}).value();
}

TEST(PlannedEpochs, OfHyperbandAreTheSumOverItsRungs) {
  // Brackets of R = 9, eta = 3: 9×1 + 3×2 + 1×6, 5×3 + 1×6, 3×9.
  const auto hyperband = scheduler("{type: hyperband, max_epochs: 9, eta: 3}");
  EXPECT_EQ(planned_epochs(*hyperband, std::nullopt), 69);
  EXPECT_EQ(planned_epochs(*hyperband, 34), 138);
}

TEST(PlannedEpochs, OfFifoAreTrialsTimesEpochs) {
  const auto fifo = scheduler("{type: fifo, max_epochs: 5}");
  EXPECT_EQ(planned_epochs(*fifo, 10), 50);
  EXPECT_EQ(planned_epochs(*fifo, std::nullopt), std::nullopt);
}

TEST(PlannedEpochs, OfAshaAreNotKnown) {
  EXPECT_EQ(planned_epochs(*scheduler("{type: asha, max_epochs: 27}"), 10), std::nullopt);
}

TEST(CrewsOfRanks, AreByRankOrderAndRankZeroCoordinates) {
  const std::vector<std::string> hosts(6, "a");
  EXPECT_EQ(room_for_crews(hosts).size(), 1U);
  EXPECT_EQ(room_for_crews(hosts)[0].slots, 5);
  const CrewPlace place{{.host = "a", .ranks = 2}};
  EXPECT_EQ(crews_of_ranks(hosts, {place, place}), (std::vector<int>{-1, 0, 0, 1, 1, -1}));
}

TEST(CrewsOfRanks, AreWholeOnTheirHostsHoweverMpirunHasDealtTheRanks) {
  const std::vector<std::string> hosts = {"a", "b", "a", "b", "a"};
  const auto places = place_crews(room_for_crews(hosts), {.crews = 2, .ranks = 2});
  ASSERT_TRUE(places.ok());
  EXPECT_EQ(crews_of_ranks(hosts, *places), (std::vector<int>{-1, 1, 0, 1, 0}));
}

}  // namespace
}  // namespace regatta
