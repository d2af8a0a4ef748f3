// Freeze-thaw: what it prefers, and that its answers depend on the facts alone.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

// Trains one trial after another on curves of (x, epoch), until so many epochs are spent.
std::vector<Trial> train(Scheduler& scheduler, int epochs, const std::function<double(double, int)>& value) {
  std::vector<Trial> trials;
  const Random random(3, "points");
  for (int spent = 0; spent < epochs;) {
    const Assignment next = scheduler.next();
    int number = 0;
    int until = 0;
    if (const auto* start = std::get_if<StartTrial>(&next)) {
      number = static_cast<int>(trials.size());
      until = start->until_epoch;
      const double x = random.uniform(static_cast<std::uint64_t>(number));
      trials.push_back({.number = number, .point = start->point.value_or(Point{x})});
    } else {
      number = std::get<ResumeTrial>(next).trial;
      until = std::get<ResumeTrial>(next).until_epoch;
    }
    Trial& trial = trials[static_cast<std::size_t>(number)];
    scheduler.started(trial, next);
    for (int epoch = trial.scores.empty() ? 1 : trial.scores.back().epoch + 1; epoch <= until; ++epoch) {
      trial.scores.push_back({.epoch = epoch, .values = {value(*trial.point[0], epoch)}});
      scheduler.reported(trial);
      ++spent;
    }
  }
  return trials;
}

double bowl(double x, int epoch) { return (x - 0.3) * (x - 0.3) + 0.5 / epoch; }

TEST(FreezeThaw, SpendsMostOfItsTimeWhereTheCurvesAreLow) {
  const auto scheduler = scheduler_from("{type: freeze-thaw, max_epochs: 27}");
  const std::vector<Trial> trials = train(*scheduler, 150, bowl);
  int near = 0;
  int all = 0;
  for (const Trial& trial : trials) {
    const int epochs = trial.scores.back().epoch;
    all += epochs;
    near += std::abs(*trial.point[0] - 0.3) < 0.15 ? epochs : 0;
  }
  EXPECT_GT(near, all * 6 / 10);
  const auto longest = std::max_element(trials.begin(), trials.end(), [](const Trial& a, const Trial& b) {
    return a.scores.back().epoch < b.scores.back().epoch;
  });
  EXPECT_EQ(longest->scores.back().epoch, 27);
}

// A coordinator that replays a study asks nothing until it is live again.
TEST(FreezeThaw, AnswersDoNotDependOnHowOftenItIsAsked) {
  const std::string config = "{type: freeze-thaw, max_epochs: 27}";
  const Regatta regatta =
      run_crews(*scheduler_from(config), {.crews = 5, .trials = 60, .seed = 2, .failure_rate = 0.02});
  int compared = 0;
  const auto live = scheduler_from(config);
  for (std::size_t i = 0; i < regatta.facts.size(); ++i) {
    const std::vector<Fact> one = {regatta.facts[i]};
    expect_same_answers(*live, one);
    if (i % 40 != 39) {
      continue;
    }
    const auto fresh = scheduler_from(config);
    std::vector<Fact> silent(regatta.facts.begin(),
                             regatta.facts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    std::erase_if(silent, [](const Fact& fact) { return std::holds_alternative<Asked>(fact); });
    expect_same_answers(*fresh, silent);
    ASSERT_EQ(to_string(fresh->next()), to_string(live->next()));
    ++compared;
  }
  EXPECT_GT(compared, 5);
}

TEST(FreezeThaw, TheSamplersPointsAreTakenWhereItIsAskedFor) {
  const auto scheduler = scheduler_from("{type: freeze-thaw, max_epochs: 9, points: sampler}");
  const Regatta regatta = run_crews(*scheduler, {.crews = 3, .trials = 40, .seed = 1});
  for (const Fact& fact : regatta.facts) {
    if (const auto* asked = std::get_if<Asked>(&fact)) {
      const auto* start = std::get_if<StartTrial>(&asked->answer);
      EXPECT_TRUE(start == nullptr || !start->point);
    }
  }
}

TEST(FreezeThaw, EndsWithoutTrainingHopelessTrials) {
  const auto scheduler = scheduler_from("{type: freeze-thaw, max_epochs: 81}");
  const Regatta regatta = run_crews(*scheduler, {.crews = 2, .trials = 30, .seed = 6});
  ASSERT_TRUE(regatta.finished);
  int epochs = 0;
  for (const Trial& trial : regatta.trials) {
    epochs += trial.scores.empty() ? 0 : trial.scores.back().epoch;
  }
  EXPECT_LT(epochs, 30 * 81 / 2);
}

}  // namespace
}  // namespace regatta
