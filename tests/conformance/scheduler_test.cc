// The contract of every scheduler, run over all that are registered. A new one must accept max_epochs.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

constexpr int kMaxEpochs = 9;

class SchedulerConformance : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<Scheduler> make() {
    return scheduler_from("{type: " + GetParam() + ", max_epochs: " + std::to_string(kMaxEpochs) + "}");
  }

  // Calls check(scheduler, regatta) after studies of many shapes; run_crews itself checks every verdict.
  template <class Check>
  static void for_many_studies(const Check& check) {
    for (std::uint64_t seed = 0; seed < 48 && !HasFailure(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      const int crew_counts[] = {1, 2, 7, 50};
      const CrewsOptions options{.crews = crew_counts[seed % 4],
                                 .trials = 1 + static_cast<int>(seed * 7 % 90),
                                 .seed = seed,
                                 .failure_rate = seed % 3 == 0 ? 0.1 : 0,
                                 .completion_rate = seed % 5 == 0 ? 0.1 : 0,
                                 .invalid_rate = seed % 7 == 0 ? 0.2 : 0,
                                 .report_every = 1 + static_cast<int>(seed / 12)};
      const auto scheduler = make();
      const Regatta regatta = run_crews(*scheduler, options);
      check(*scheduler, options, regatta);
    }
  }
};

TEST_P(SchedulerConformance, EveryStudyEndsAndEveryTrialWithIt) {
  for_many_studies([](const Scheduler&, const CrewsOptions& options, const Regatta& regatta) {
    ASSERT_TRUE(regatta.finished);
    int counted = 0;
    for (const Trial& trial : regatta.trials) {
      EXPECT_TRUE(has_ended(trial.state)) << trial.number << " is " << to_string(trial.state);
      counted += trial.state != TrialState::invalid ? 1 : 0;
    }
    EXPECT_LE(counted, options.trials);
  });
}

TEST_P(SchedulerConformance, TheSameFactsGiveTheSameAnswers) {
  for_many_studies([](const Scheduler&, const CrewsOptions&, const Regatta& regatta) {
    expect_same_answers(*make(), regatta.facts);
  });
}

TEST_P(SchedulerConformance, NoTrialTrainsBeyondTheLastEpoch) {
  for_many_studies([](const Scheduler& scheduler, const CrewsOptions&, const Regatta& regatta) {
    EXPECT_EQ(scheduler.max_epochs(), kMaxEpochs);
    for (const Trial& trial : regatta.trials) {
      EXPECT_TRUE(trial.scores.empty() || trial.scores.back().epoch <= kMaxEpochs) << trial.number;
    }
  });
}

TEST_P(SchedulerConformance, NewTrialsFollowThePlan) {
  for_many_studies([](const Scheduler& scheduler, const CrewsOptions&, const Regatta& regatta) {
    std::set<int> budgets;
    for (const RungPlan& rung : scheduler.plan()) {
      EXPECT_LE(rung.epochs, kMaxEpochs);
      budgets.insert(rung.epochs);
    }
    EXPECT_TRUE(budgets.contains(kMaxEpochs));
    for (const Fact& fact : regatta.facts) {
      const auto* started = std::get_if<Started>(&fact);
      if (started == nullptr) {
        continue;
      }
      if (const auto* start = std::get_if<StartTrial>(&started->assignment)) {
        EXPECT_TRUE(budgets.contains(start->until_epoch)) << start->until_epoch;
        EXPECT_GE(start->bracket, 0);
      }
    }
  });
}

TEST_P(SchedulerConformance, ACrewNeverIdlesWhileNewTrialsAreAllowed) {
  if (GetParam() == "pbt") {
    GTEST_SKIP() << "a population has a size, and ends together";
  }
  for_many_studies([](const Scheduler&, const CrewsOptions&, const Regatta& regatta) {
    const auto closed = std::find_if(regatta.facts.begin(), regatta.facts.end(),
                                     [](const Fact& fact) { return std::holds_alternative<Closed>(fact); });
    EXPECT_NE(closed, regatta.facts.end());
    for (auto fact = regatta.facts.begin(); fact != closed; ++fact) {
      if (const auto* asked = std::get_if<Asked>(&*fact)) {
        EXPECT_FALSE(std::holds_alternative<WaitForReports>(asked->answer));
        EXPECT_FALSE(std::holds_alternative<NothingLeft>(asked->answer));
      }
    }
  });
}

TEST_P(SchedulerConformance, ClosedBeforeAnythingStartedThereIsNothingToDo) {
  const auto scheduler = make();
  EXPECT_TRUE(std::holds_alternative<StartTrial>(scheduler->next()));
  EXPECT_TRUE(scheduler->closed().empty());
  EXPECT_TRUE(scheduler->closed().empty());
  EXPECT_TRUE(std::holds_alternative<NothingLeft>(scheduler->next()));
}

TEST_P(SchedulerConformance, AStudyWhoseEveryTrialFailsEnds) {
  const auto scheduler = make();
  const Regatta regatta = run_crews(*scheduler, {.crews = 5, .trials = 60, .seed = 1, .failure_rate = 1});
  EXPECT_TRUE(regatta.finished);
  EXPECT_EQ(regatta.trials.size(), 60U);
}

TEST_P(SchedulerConformance, ATrialThatFailedMayStartAgain) {
  const auto scheduler = make();
  for (int attempt = 0; attempt < 5; ++attempt) {
    const Assignment next = scheduler->next();
    ASSERT_TRUE(std::holds_alternative<StartTrial>(next));
    const Point point = std::get<StartTrial>(next).point.value_or(Point{0.5});
    scheduler->started({.number = 0, .point = point}, next);
    scheduler->ended({.number = 0, .point = point, .state = TrialState::failed});
  }
  scheduler->closed();
  EXPECT_TRUE(std::holds_alternative<NothingLeft>(scheduler->next()));
}

TEST_P(SchedulerConformance, UnknownOptionsAreRefused) {
  const auto refused =
      make_scheduler(typed("{type: " + GetParam() + ", max_epochs: 9, max_epoch: 9}"), one_parameter());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, Error::Kind::user_mistake);
}

INSTANTIATE_TEST_SUITE_P(All, SchedulerConformance, testing::ValuesIn(scheduler_names()),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Options that change how a scheduler decides.
INSTANTIATE_TEST_SUITE_P(Variants, SchedulerConformance,
                         testing::Values("asha, rule: stopping", "asha, growth: 2, eta: 4, leader: true"),
                         [](const auto& each) { return "variant_" + std::to_string(each.index); });

}  // namespace
}  // namespace regatta
