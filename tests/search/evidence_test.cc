#include "search/evidence.h"

#include <gmock/gmock.h>

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A trial that reported these values after epochs 1, 2, ….
Trial trial(int number, TrialState state, const std::vector<double>& curve) {
  Trial trial{.number = number, .state = state};
  for (const double value : curve) {
    trial.scores.push_back({.epoch = static_cast<int>(trial.scores.size()) + 1, .values = {value}});
  }
  return trial;
}

TEST(Evidence, OfNothingIsEmpty) {
  const Evidence evidence = gather_evidence({}, 3);
  EXPECT_EQ(evidence.epoch, 0);
  EXPECT_THAT(evidence.observed, IsEmpty());
}

TEST(Evidence, IsTakenAtTheLongestTrainingThatEnoughTrialsHave) {
  const std::vector<Trial> history = {
      trial(0, TrialState::paused, {5}),          trial(1, TrialState::running, {4, 3, 2}),
      trial(2, TrialState::stopped, {6, 5, 5.5}), trial(3, TrialState::stopped, {9}),
      trial(4, TrialState::failed, {}),           trial(5, TrialState::invalid, {}),
      trial(6, TrialState::waiting, {}),
  };
  const Evidence two = gather_evidence(history, 2);
  EXPECT_EQ(two.epoch, 3);
  EXPECT_THAT(two.observed, ElementsAre(1, 2));
  EXPECT_THAT(two.values, ElementsAre(ElementsAre(2), ElementsAre(5)));
  EXPECT_THAT(two.pending, ElementsAre(0, 6));
  EXPECT_THAT(two.stopped, ElementsAre(3));
  EXPECT_THAT(two.failed, ElementsAre(4, 5));

  const Evidence four = gather_evidence(history, 4);
  EXPECT_EQ(four.epoch, 1);
  EXPECT_THAT(four.observed, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(four.values, ElementsAre(ElementsAre(5), ElementsAre(4), ElementsAre(6), ElementsAre(9)));
}

TEST(Evidence, TooLittleIsTakenWhereMostTrialsAre) {
  const std::vector<Trial> history = {trial(0, TrialState::running, {5, 4}),
                                      trial(1, TrialState::running, {3})};
  EXPECT_EQ(gather_evidence(history, 10).epoch, 1);
}

TEST(Evidence, ATrialThatCompletedByItselfStandsForEveryEpoch) {
  const std::vector<Trial> history = {trial(0, TrialState::complete, {5}),
                                      trial(1, TrialState::complete, {4, 3, 2})};
  const Evidence evidence = gather_evidence(history, 2);
  EXPECT_EQ(evidence.epoch, 3);
  EXPECT_THAT(evidence.values, ElementsAre(ElementsAre(5), ElementsAre(2)));
}

TEST(Evidence, OfAFailedTrialIsItsFailure) {
  const std::vector<Trial> history = {trial(0, TrialState::failed, {5}), trial(1, TrialState::complete, {4})};
  EXPECT_THAT(gather_evidence(history, 1).observed, ElementsAre(1));
  EXPECT_THAT(gather_evidence(history, 1).failed, ElementsAre(0));
}

TEST(Evidence, OfSeveralObjectivesIsTheLatest) {
  Trial both{.number = 0, .state = TrialState::complete};
  both.scores = {{.epoch = 1, .values = {1, 5}}, {.epoch = 2, .values = {2, 4}}};
  EXPECT_THAT(gather_evidence({{both}}, 1).values, ElementsAre(ElementsAre(2, 4)));
}

}  // namespace
}  // namespace regatta
