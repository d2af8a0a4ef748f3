// Hyperband: its published geometry, and whole studies checked against sorting.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "search/schedulers/ladder.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::vector<std::vector<std::pair<int, int>>> trials_at_epochs(const Scheduler& scheduler) {
  std::vector<std::vector<std::pair<int, int>>> brackets;
  for (const RungPlan& rung : scheduler.plan()) {
    brackets.resize(std::max(brackets.size(), static_cast<std::size_t>(rung.bracket) + 1));
    brackets[static_cast<std::size_t>(rung.bracket)].emplace_back(rung.trials, rung.epochs);
  }
  return brackets;
}

TEST(Hyperband, PlansTheBracketsOfThePaper) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 81, eta: 3}");
  EXPECT_THAT(trials_at_epochs(*scheduler),
              ElementsAre(ElementsAre(Pair(81, 1), Pair(27, 3), Pair(9, 9), Pair(3, 27), Pair(1, 81)),
                          ElementsAre(Pair(34, 3), Pair(11, 9), Pair(3, 27), Pair(1, 81)),
                          ElementsAre(Pair(15, 9), Pair(5, 27), Pair(1, 81)),  //
                          ElementsAre(Pair(8, 27), Pair(2, 81)),               //
                          ElementsAre(Pair(5, 81))));
  EXPECT_EQ(scheduler->trials_per_round(), 81 + 34 + 15 + 8 + 5);
  EXPECT_EQ(scheduler->max_epochs(), 81);
}

TEST(Hyperband, PowersOfEtaLoseNoRung) {
  // ⌊log(243) / log(3)⌋ is 4 in floating point.
  EXPECT_THAT(rungs_below_max({.min_epochs = 1, .max_epochs = 243, .eta = 3}),
              ElementsAre(1, 3, 9, 27, 81, 243));
  EXPECT_THAT(rungs_below_max({.min_epochs = 1, .max_epochs = 1000, .eta = 10}),
              ElementsAre(1, 10, 100, 1000));
}

TEST(Hyperband, RungsStayAtOrAboveMinEpochsAndEndAtMaxEpochs) {
  EXPECT_THAT(rungs_below_max({.min_epochs = 2, .max_epochs = 50, .eta = 3}), ElementsAre(5, 16, 50));
  EXPECT_THAT(rungs_below_max({.min_epochs = 7, .max_epochs = 7, .eta = 2}), ElementsAre(7));
  for (int eta = 2; eta <= 5; ++eta) {
    for (int max_epochs = 1; max_epochs <= 200; ++max_epochs) {
      const auto epochs = rungs_below_max({.min_epochs = 1, .max_epochs = max_epochs, .eta = eta});
      EXPECT_EQ(epochs.back(), max_epochs);
      EXPECT_GE(epochs.front(), 1);
      EXPECT_TRUE(std::is_sorted(epochs.begin(), epochs.end(), std::less_equal<>())) << max_epochs;
    }
  }
}

// What a bracket should have done, from the scores alone. Reports come every epoch, so a trial that was
// promoted beyond rung i has a score after its epochs or failed.
class BracketAudit {
 public:
  BracketAudit(std::vector<RungPlan> plan, std::vector<Trial> trials)
      : plan_(std::move(plan)), members_(std::move(trials)) {}

  void run() {
    EXPECT_LE(members_.size(), static_cast<std::size_t>(plan_[0].trials));
    for (std::size_t i = 0; i < plan_.size() && !members_.empty(); ++i) {
      if (i + 1 == plan_.size()) {
        for (const Trial& trial : members_) {
          EXPECT_TRUE(trial.state == TrialState::failed || last_epoch(trial) == plan_[i].epochs);
        }
        return;
      }
      members_ = judge(i);
    }
  }

 private:
  static int last_epoch(const Trial& trial) { return trial.scores.empty() ? 0 : trial.scores.back().epoch; }

  std::vector<Trial> judge(std::size_t i) const {
    const int epochs = plan_[i].epochs;
    std::vector<std::pair<double, int>> ranking;
    std::map<int, Trial> went_on;
    for (const Trial& trial : members_) {
      const bool failed = trial.state == TrialState::failed;
      EXPECT_TRUE(failed || last_epoch(trial) >= epochs);
      if (last_epoch(trial) >= epochs) {
        ranking.emplace_back(trial.scores[static_cast<std::size_t>(epochs) - 1].values[0], trial.number);
        if (failed || last_epoch(trial) > epochs) {
          went_on.emplace(trial.number, trial);
        }
      }
    }
    std::sort(ranking.begin(), ranking.end());
    const std::size_t share = members_.size() * static_cast<std::size_t>(plan_[i + 1].trials) /
                              static_cast<std::size_t>(plan_[i].trials);
    const std::size_t promotions = std::min(ranking.size(), std::max<std::size_t>(share, 1));
    EXPECT_EQ(went_on.size(), promotions);
    std::vector<Trial> promoted;
    for (std::size_t rank = 0; rank < promotions; ++rank) {
      EXPECT_TRUE(went_on.contains(ranking[rank].second)) << "the trial of rank " << rank << " lost";
      promoted.push_back(went_on[ranking[rank].second]);
    }
    return promoted;
  }

  std::vector<RungPlan> plan_;
  std::vector<Trial> members_;
};

void audit(const Scheduler& scheduler, const Regatta& regatta) {
  std::map<int, std::vector<RungPlan>> plans;
  for (const RungPlan& rung : scheduler.plan()) {
    plans[rung.bracket].push_back(rung);
  }
  std::map<int, std::vector<Trial>> brackets;
  for (const Trial& trial : regatta.trials) {
    if (trial.state != TrialState::invalid) {
      brackets[regatta.brackets[static_cast<std::size_t>(trial.number)]].push_back(trial);
    }
  }
  for (const auto& [bracket, trials] : brackets) {
    SCOPED_TRACE("bracket " + std::to_string(bracket));
    BracketAudit(plans.at(bracket % static_cast<int>(plans.size())), trials).run();
  }
}

TEST(Hyperband, PromotesTheBestOfEachRungWhateverTheCrewsDo) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string config = seed % 2 == 0 ? "{type: hyperband, max_epochs: 81}"
                                             : "{type: hyperband, min_epochs: 2, max_epochs: 50, eta: 4}";
    const auto scheduler = scheduler_from(config);
    const int crew_counts[] = {1, 3, 16, 100};
    const Regatta regatta = run_crews(*scheduler, {.crews = crew_counts[seed / 2 % 4],
                                                   .trials = static_cast<int>(20 + 9 * seed),
                                                   .seed = seed,
                                                   .failure_rate = seed % 3 == 0 ? 0.02 : 0,
                                                   .invalid_rate = seed % 5 == 0 ? 0.1 : 0});
    ASSERT_TRUE(regatta.finished);
    audit(*scheduler, regatta);
    const auto again = scheduler_from(config);
    expect_same_answers(*again, regatta.facts);
    if (HasFailure()) {
      return;
    }
  }
}

TEST(Hyperband, OneRoundRunsThePlannedBudgetsExactly) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 81}");
  const Regatta regatta =
      run_crews(*scheduler, {.crews = 10, .trials = scheduler->trials_per_round(), .seed = 1});
  std::map<std::pair<int, int>, int> reached;  // (bracket, epochs) → trials
  for (const Trial& trial : regatta.trials) {
    for (const Score& score : trial.scores) {
      ++reached[{regatta.brackets[static_cast<std::size_t>(trial.number)], score.epoch}];
    }
  }
  for (const RungPlan& rung : scheduler->plan()) {
    EXPECT_EQ((reached[{rung.bracket, rung.epochs}]), rung.trials) << rung.bracket << "@" << rung.epochs;
  }
}

TEST(Hyperband, NoCrewIdlesBeforeTheLimitOfTrials) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 27}");
  const Regatta regatta = run_crews(*scheduler, {.crews = 200, .trials = 1000, .seed = 3});
  bool closed = false;
  for (const Fact& fact : regatta.facts) {
    closed = closed || std::holds_alternative<Closed>(fact);
    const auto* asked = std::get_if<Asked>(&fact);
    EXPECT_TRUE(closed || asked == nullptr || !std::holds_alternative<WaitForReports>(asked->answer));
  }
}

Trial scored(int number, int epoch, double value) {
  return {.number = number,
          .state = TrialState::running,
          .scores = {{.epoch = epoch, .values = {value}}},
          .values = {value}};
}

// Starts `trials` new trials in a row and returns the last assignment.
void start(Scheduler& scheduler, int trials) {
  for (int number = 0; number < trials; ++number) {
    scheduler.started({.number = number}, scheduler.next());
  }
}

TEST(Hyperband, TheLastReporterGoesOnAndTheLosersAreDropped) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 3}");  // 3@1 1@3 · 2@3
  start(*scheduler, 3);
  EXPECT_EQ(scheduler->reported(scored(0, 1, 0.5)).verdict.action, Verdict::Action::pause);
  EXPECT_EQ(scheduler->reported(scored(1, 1, 0.9)).verdict.action, Verdict::Action::pause);
  const Ruling last = scheduler->reported(scored(2, 1, 0.1));
  EXPECT_EQ(last.verdict.action, Verdict::Action::go_on);
  EXPECT_EQ(last.verdict.until_epoch, 3);
  EXPECT_THAT(last.dropped, ElementsAre(0, 1));
}

TEST(Hyperband, TiesGoToTheLowerNumber) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 3}");
  start(*scheduler, 3);
  scheduler->reported(scored(2, 1, 0.5));
  scheduler->reported(scored(0, 1, 0.5));
  const Ruling last = scheduler->reported(scored(1, 1, 0.5));
  EXPECT_EQ(last.verdict.action, Verdict::Action::stop);
  EXPECT_THAT(last.dropped, ElementsAre(2));
  EXPECT_EQ(to_string(scheduler->next()), "resume 0 until 3");
}

TEST(Hyperband, AnInvalidTrialIsReplacedInItsBracketAndAFailedOneIsNot) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 3}");
  start(*scheduler, 3);
  EXPECT_EQ(to_string(scheduler->next()), "start in bracket 1 until 3");
  scheduler->ended({.number = 0, .state = TrialState::failed});
  EXPECT_EQ(to_string(scheduler->next()), "start in bracket 1 until 3");
  scheduler->ended({.number = 1, .state = TrialState::invalid});
  EXPECT_EQ(to_string(scheduler->next()), "start in bracket 0 until 1");
}

TEST(Hyperband, ARungThatFailsAltogetherEndsItsBracket) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 3}");
  start(*scheduler, 3);
  for (int number = 0; number < 3; ++number) {
    scheduler->ended({.number = number, .state = TrialState::failed});
  }
  EXPECT_TRUE(scheduler->closed().empty());
  EXPECT_EQ(to_string(scheduler->next()), "nothing left");
}

TEST(Hyperband, ClosingPromotesFromATruncatedRung) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 9}");  // 9@1 3@3 1@9
  start(*scheduler, 4);
  for (int number = 0; number < 4; ++number) {
    EXPECT_EQ(scheduler->reported(scored(number, 1, number)).verdict.action, Verdict::Action::pause);
  }
  EXPECT_THAT(scheduler->closed(), ElementsAre(1, 2, 3));
  EXPECT_EQ(to_string(scheduler->next()), "resume 0 until 3");
}

TEST(Hyperband, AReportThatCrossesRungsCountsInEachOfThem) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 9}");
  start(*scheduler, 9);
  for (int number = 0; number < 8; ++number) {
    scheduler->reported(scored(number, 4, number));
  }
  const Ruling last =
      scheduler->reported(scored(8, 4, 8));  // three are promoted to epoch 3 and past it already
  EXPECT_EQ(last.verdict.action, Verdict::Action::stop);
  EXPECT_THAT(last.dropped, ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(to_string(scheduler->next()), "resume 0 until 9");
}

TEST(Hyperband, ATrialThatCompletesEarlyStillCompetes) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 9}");
  start(*scheduler, 9);
  Trial early = scored(0, 1, 0.0);
  for (int number = 1; number < 9; ++number) {
    scheduler->reported(scored(number, 1, number));
  }
  early.state = TrialState::complete;
  EXPECT_THAT(scheduler->ended(early), ElementsAre(3, 4, 5, 6, 7, 8));
  EXPECT_EQ(to_string(scheduler->next()), "resume 1 until 3");
}

TEST(Hyperband, OfSeveralObjectivesItPromotesWhatNothingDominates) {
  const auto scheduler = scheduler_from("{type: hyperband, max_epochs: 4, min_epochs: 2, eta: 2}");
  Trial dominated{.number = 0, .state = TrialState::running};
  Trial better{.number = 1, .state = TrialState::running};
  scheduler->started(dominated, scheduler->next());
  scheduler->started(better, scheduler->next());
  dominated.scores = {{.epoch = 2, .values = {6, 6}}};
  EXPECT_EQ(scheduler->reported(dominated).verdict.action, Verdict::Action::pause);
  better.scores = {{.epoch = 2, .values = {6, 5}}};  // by the first objective alone the first trial would win
  const Ruling ruling = scheduler->reported(better);
  EXPECT_EQ(ruling.verdict.action, Verdict::Action::go_on);
  EXPECT_EQ(ruling.dropped, std::vector<int>{0});
}

}  // namespace
}  // namespace regatta
