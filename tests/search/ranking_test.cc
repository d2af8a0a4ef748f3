// The cached ranking against one made from scratch, and its order.
#include "search/samplers/ranking.h"

#include <gmock/gmock.h>

#include "base/random.h"

namespace regatta {
namespace {

Trial trial(int number, TrialState state, const std::vector<double>& curve) {
  Trial trial{.number = number, .state = state};
  for (const double value : curve) {
    trial.scores.push_back({.epoch = static_cast<int>(trial.scores.size()) + 1, .values = {value}});
  }
  return trial;
}

std::vector<int> numbers(const TrialRanking& ranking) {
  std::vector<int> result;
  for (const auto& place : ranking.places()) {
    result.push_back(place.number);
  }
  return result;
}

TEST(Ranking, ComparesAtOneEpochAndPutsShorterTrialsBehind) {
  const std::vector<Trial> history = {
      trial(0, TrialState::complete, {9, 8, 3}), trial(1, TrialState::stopped, {1}),
      trial(2, TrialState::running, {5}),        trial(3, TrialState::failed, {0}),
      trial(4, TrialState::complete, {9, 2, 4}), trial(5, TrialState::paused, {7, 6}),
      trial(6, TrialState::stopped, {0.5}),      trial(7, TrialState::waiting, {}),
  };
  TrialRanking ranking(1);
  ranking.update(history, 2);
  EXPECT_THAT(numbers(ranking), testing::ElementsAre(4, 0, 5, 6, 1, 3, 2, 7));
  EXPECT_EQ(ranking.observed(), 2U);
  EXPECT_EQ(ranking.judged(), 6U);
}

// A study in which trials start, report, pause, resume and end, looked at after every event.
TEST(Ranking, FollowsAStudyAsIfItHadSeenItAtOnce) {
  for (const std::size_t objectives : {1U, 2U}) {
    const Random random(objectives, "ranking test");
    TrialRanking following(objectives);
    std::vector<Trial> history;
    for (std::uint64_t event = 0; event < 600; ++event) {
      const std::uint64_t what = random.below(3 * event, 8);
      if (history.empty() || what == 0) {
        history.push_back({.number = static_cast<int>(history.size()), .state = TrialState::waiting});
      } else {
        Trial& changed = history[random.below(3 * event + 1, history.size())];
        if (has_ended(changed.state)) {
          continue;
        }
        constexpr TrialState kStates[] = {TrialState::running, TrialState::paused, TrialState::complete,
                                          TrialState::stopped, TrialState::failed, TrialState::running,
                                          TrialState::paused,  TrialState::running};
        changed.state = kStates[what];
        std::vector<double> values;
        for (std::size_t i = 0; i < objectives; ++i) {
          values.push_back(static_cast<double>(random.below(100000 + 3 * event + i, 20)));
        }
        const int epoch = changed.scores.empty() ? 1 : changed.scores.back().epoch + 1;
        changed.scores.push_back({.epoch = epoch, .values = values});
      }
      following.update(history, 10);
      TrialRanking fresh(objectives);
      fresh.update(history, 10);
      ASSERT_TRUE(std::equal(following.places().begin(), following.places().end(), fresh.places().begin(),
                             fresh.places().end()))
          << "event " << event;
      ASSERT_EQ(following.observed(), fresh.observed());
      ASSERT_EQ(following.judged(), fresh.judged());
    }
  }
}

}  // namespace
}  // namespace regatta
