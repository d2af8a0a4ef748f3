// PASHA: the comparison of rankings, and when its ladder grows.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "search/schedulers/rank_stability.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

std::vector<Score> curve(const std::vector<double>& values) {
  std::vector<Score> scores;
  for (const double value : values) {
    scores.push_back({.epoch = static_cast<int>(scores.size()) + 1, .values = {value}});
  }
  return scores;
}

double ranking_noise(const std::map<int, std::vector<Score>>& curves) {
  RankingNoise noise;
  for (const auto& [trial, curve] : curves) {
    noise.update(trial, curve);
  }
  return noise.value();
}

TEST(RankStability, NoiseIsTheDistanceOfCurvesThatCrossAndCrossBack) {
  EXPECT_EQ(ranking_noise({{0, curve({3, 2, 1})}, {1, curve({4, 3, 2})}}), 0);
  EXPECT_EQ(ranking_noise({{0, curve({3, 2, 1})}, {1, curve({2, 3, 4})}}), 0);  // crossed once
  EXPECT_DOUBLE_EQ(ranking_noise({{0, curve({3, 1, 3})}, {1, curve({2, 2, 2.5})}}), 0.5);
  // The last common epoch counts, whatever one of them did later.
  EXPECT_DOUBLE_EQ(ranking_noise({{0, curve({3, 1, 3, 9})}, {1, curve({2, 2, 2.5})}}), 0.5);
}

TEST(RankStability, NoiseOfGrowingCurvesIsThatOfTheWholeOnes) {
  const Random random(7, "curves");
  std::map<int, std::vector<Score>> curves;
  RankingNoise growing;
  std::size_t crossed = 0;
  for (int epoch = 1; epoch <= 6; ++epoch) {
    for (int trial = 12; trial-- > 0;) {
      const double value = random.uniform(static_cast<std::uint64_t>(epoch * 12 + trial));
      curves[trial].push_back({.epoch = epoch, .values = {value}});
      growing.update(trial, curves[trial]);
      ASSERT_EQ(growing.value(), ranking_noise(curves));
      crossed += growing.value() > 0 ? 1 : 0;
    }
  }
  EXPECT_GT(crossed, 30U);
}

TEST(RankStability, TrialsWithinTheNoiseMayChangePlaces) {
  const std::map<int, double> lower = {{0, 1.0}, {1, 1.1}, {2, 2.0}, {3, 0.5}};
  EXPECT_TRUE(same_ranking(lower, {{0, 0.6}, {1, 0.7}, {2, 0.8}}, 0));
  EXPECT_FALSE(same_ranking(lower, {{0, 0.7}, {1, 0.6}, {2, 0.8}}, 0));
  EXPECT_TRUE(same_ranking(lower, {{0, 0.7}, {1, 0.6}, {2, 0.8}}, 0.11));
  EXPECT_FALSE(same_ranking(lower, {{0, 0.7}, {2, 0.6}, {1, 0.8}}, 0.11));
}

int longest(Scheduler& scheduler, const std::function<double(int trial, int epoch)>& value) {
  std::vector<Trial> trials;
  int longest = 0;
  while (true) {
    const Assignment next = scheduler.next();
    int number = 0;
    if (std::holds_alternative<StartTrial>(next)) {
      if (trials.size() == 81) {
        scheduler.closed();
        continue;
      }
      number = static_cast<int>(trials.size());
      trials.push_back({.number = number, .point = {0.5}});
    } else if (const auto* resume = std::get_if<ResumeTrial>(&next)) {
      number = resume->trial;
    } else {
      return longest;
    }
    Trial& trial = trials[static_cast<std::size_t>(number)];
    scheduler.started(trial, next);
    auto action = Verdict::Action::go_on;
    while (action == Verdict::Action::go_on) {
      const int epoch = trial.scores.empty() ? 1 : trial.scores.back().epoch + 1;
      longest = std::max(longest, epoch);
      trial.scores.push_back({.epoch = epoch, .values = {value(number, epoch)}});
      action = scheduler.reported(trial).verdict.action;
    }
  }
}

TEST(Pasha, StableRankingsEndEarlyAndUnstableOnesTrainOn) {
  const std::string config = "{type: pasha, max_epochs: 81}";
  EXPECT_EQ(longest(*scheduler_from(config), [](int trial, int epoch) { return trial + 1.0 / epoch; }), 3);
  // The order turns around between 3 epochs and 9, and nowhere else.
  const auto turns = [](int trial, int epoch) { return epoch > 4 ? trial : -trial; };
  EXPECT_EQ(longest(*scheduler_from(config), turns), 3);
  // It turns around between 1 epoch and 3: the ladder grows to 9, where it is as at 3.
  const auto turns_early = [](int trial, int epoch) { return epoch > 2 ? trial : -trial; };
  EXPECT_EQ(longest(*scheduler_from(config), turns_early), 9);
}

TEST(Pasha, TakesOneObjectiveAsFreezeThawDoes) {
  for (const char* type : {"pasha", "freeze-thaw"}) {
    SearchContext context = one_parameter();
    context.objectives = 2;
    const auto refused = make_scheduler(typed(fmt::format("{{type: {}, max_epochs: 9}}", type)), context);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, Error::Kind::user_mistake);
  }
}

}  // namespace
}  // namespace regatta
