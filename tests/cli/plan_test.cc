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

TEST(CrewOfRank, IsByRankOrderAndRankZeroCoordinates) {
  EXPECT_LT(crew_of_rank(0, 2, 2), 0);
  EXPECT_EQ(crew_of_rank(1, 2, 2), 0);
  EXPECT_EQ(crew_of_rank(2, 2, 2), 0);
  EXPECT_EQ(crew_of_rank(3, 2, 2), 1);
  EXPECT_EQ(crew_of_rank(4, 2, 2), 1);
  EXPECT_LT(crew_of_rank(5, 2, 2), 0);  // left over
}

}  // namespace
}  // namespace regatta
