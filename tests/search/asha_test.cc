// ASHA against direct implementations of its two rules, which sort every rung at every question.
#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/random.h"
#include "search/schedulers/ladder.h"
#include "search/schedulers/ranked_rung.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

// Algorithm 2 of the paper, word by word, but for the leader.
class TextbookAsha {
 public:
  TextbookAsha(std::vector<int> epochs, const RungOptions& options)
      : epochs_(std::move(epochs)),
        eta_(options.eta),
        leader_(options.leader),
        rungs_(epochs_.size()),
        promoted_(epochs_.size()) {}

  struct Job {
    int trial = -1;  // -1: a new one
    std::size_t rung = 0;
  };

  Job get_job() const {
    for (std::size_t k = epochs_.size() - 1; k-- > 0;) {
      std::vector<std::pair<double, int>> rung = rungs_[k];
      std::sort(rung.begin(), rung.end());
      const std::size_t least = leader_ && rung.size() >= 2 ? 1 : 0;
      rung.resize(std::max(rung.size() / static_cast<std::size_t>(eta_), least));
      for (const auto& [value, trial] : rung) {
        if (!promoted_[k].contains(trial)) {
          return {trial, k + 1};
        }
      }
    }
    return {};
  }

  std::optional<std::size_t> rung_at(int epoch) const {
    const auto found = std::find(epochs_.begin(), epochs_.end(), epoch);
    return found == epochs_.end() ? std::nullopt
                                  : std::optional(static_cast<std::size_t>(found - epochs_.begin()));
  }
  void record(std::size_t rung, double value, int trial) { rungs_[rung].emplace_back(value, trial); }
  void promote(int trial, std::size_t from) { promoted_[from].insert(trial); }
  bool keeps(std::size_t k, double value, int trial) const {
    std::vector<std::pair<double, int>> rung = rungs_[k];
    std::sort(rung.begin(), rung.end());
    const auto rank = std::find(rung.begin(), rung.end(), std::pair(value, trial)) - rung.begin();
    return std::ssize(rung) < eta_ || rank < std::ssize(rung) / eta_;
  }
  std::size_t top() const { return epochs_.size() - 1; }

 private:
  std::vector<int> epochs_;
  int eta_;
  bool leader_;
  std::vector<std::vector<std::pair<double, int>>> rungs_;
  std::vector<std::set<int>> promoted_;
};

int last_epoch(const Trial& trial) { return trial.scores.empty() ? 0 : trial.scores.back().epoch; }

// The rung that a trial which fails was to reach.
std::size_t next_rung(const TextbookAsha& textbook, const Trial& trial, int max_epochs) {
  for (int epoch = last_epoch(trial) + 1; epoch < max_epochs; ++epoch) {
    if (const auto rung = textbook.rung_at(epoch)) {
      return *rung;
    }
  }
  return textbook.top();
}

class PromotionAudit {
 public:
  PromotionAudit(TextbookAsha textbook, int max_epochs)
      : textbook_(std::move(textbook)), max_epochs_(max_epochs) {}

  void run(const std::vector<Fact>& facts) {
    for (const Fact& fact : facts) {
      std::visit([this](const auto& each) { check(each); }, fact);
      if (testing::Test::HasFailure()) {
        return;
      }
    }
  }

 private:
  void check(const Asked& asked) {
    const auto job = textbook_.get_job();
    const auto* resume = std::get_if<ResumeTrial>(&asked.answer);
    EXPECT_EQ(resume != nullptr ? resume->trial : -1, job.trial);
    if (job.trial < 0) {
      EXPECT_EQ(std::holds_alternative<StartTrial>(asked.answer), !closed_);
    }
  }
  void check(const Started& started) {
    if (std::holds_alternative<ResumeTrial>(started.assignment)) {
      textbook_.promote(started.trial.number, textbook_.get_job().rung - 1);
    }
  }
  void check(const Reported& reported) {
    const Trial& trial = reported.trial;
    const auto rung = textbook_.rung_at(last_epoch(trial));
    if (!rung || *rung == textbook_.top()) {
      const auto expected = rung ? Verdict::Action::complete : Verdict::Action::go_on;
      EXPECT_EQ(reported.ruling.verdict.action, expected);
      return;
    }
    textbook_.record(*rung, trial.scores.back().values[0], trial.number);
    if (textbook_.get_job().trial == trial.number) {
      EXPECT_EQ(reported.ruling.verdict.action, Verdict::Action::go_on);
      textbook_.promote(trial.number, *rung);
    } else {
      EXPECT_EQ(reported.ruling.verdict.action, Verdict::Action::pause);
    }
  }
  void check(const Ended& ended) {
    const std::size_t rung = next_rung(textbook_, ended.trial, max_epochs_);
    if (ended.trial.state == TrialState::failed && rung < textbook_.top()) {
      textbook_.record(rung, std::numeric_limits<double>::infinity(), ended.trial.number);
      textbook_.promote(ended.trial.number, rung);
    }
  }
  void check(const Closed&) { closed_ = true; }

  TextbookAsha textbook_;
  int max_epochs_;
  bool closed_ = false;
};

TEST(AshaPromotion, AnswersAsThePaperWhateverTheCrewsDo) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const int eta = 2 + static_cast<int>(seed % 3);
    const int crew_counts[] = {1, 4, 25, 80};
    const std::string config = "{type: asha, max_epochs: 30, eta: " + std::to_string(eta) + "}";
    const auto scheduler = scheduler_from(config);
    const Regatta regatta = run_crews(*scheduler, {.crews = crew_counts[seed / 3 % 4],
                                                   .trials = 150,
                                                   .seed = seed,
                                                   .failure_rate = seed % 2 == 0 ? 0.02 : 0,
                                                   .invalid_rate = seed % 5 == 0 ? 0.1 : 0});
    ASSERT_TRUE(regatta.finished);
    const std::vector<int> epochs = rungs_above_min({.min_epochs = 1, .max_epochs = 30, .eta = eta});
    PromotionAudit(TextbookAsha(epochs, {.eta = eta}), 30).run(regatta.facts);
    const auto again = scheduler_from(config);
    expect_same_answers(*again, regatta.facts);
    if (HasFailure()) {
      return;
    }
  }
}

TEST(AshaPromotion, WithCloseRungsTheLeaderOfEachGoesOn) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const int eta = 3 + static_cast<int>(seed % 3);
    const auto scheduler = scheduler_from(
        "{type: asha, max_epochs: 30, growth: 2, leader: true, eta: " + std::to_string(eta) + "}");
    const Regatta regatta = run_crews(*scheduler, {.crews = 1 + static_cast<int>(seed),
                                                   .trials = 100,
                                                   .seed = seed,
                                                   .failure_rate = seed % 2 == 0 ? 0.05 : 0});
    ASSERT_TRUE(regatta.finished);
    PromotionAudit(TextbookAsha({1, 2, 4, 8, 16, 30}, {.eta = eta, .leader = true}), 30).run(regatta.facts);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(AshaPromotion, OfTwoTrialsTheBetterOneTrainsToTheEndWhereLeadersMay) {
  const auto scheduler = scheduler_from("{type: asha, max_epochs: 9, leader: true}");
  const auto report = [&](int number, int epoch, double value) {
    return scheduler
        ->reported(
            {.number = number, .state = TrialState::running, .scores = {{.epoch = epoch, .values = {value}}}})
        .verdict.action;
  };
  scheduler->started({.number = 0}, scheduler->next());
  EXPECT_EQ(report(0, 1, 0.5), Verdict::Action::pause);
  scheduler->started({.number = 1}, scheduler->next());
  EXPECT_EQ(report(1, 1, 0.4), Verdict::Action::go_on);
  EXPECT_EQ(report(1, 3, 0.3), Verdict::Action::pause);  // alone in its rung, so it leads nobody
  scheduler->started({.number = 2}, scheduler->next());
  EXPECT_EQ(report(2, 1, 0.3), Verdict::Action::go_on);
  EXPECT_EQ(report(2, 3, 0.2), Verdict::Action::go_on);
  EXPECT_EQ(report(2, 9, 0.1), Verdict::Action::complete);
}

TEST(AshaStopping, JudgesAsThePaperWhateverTheCrewsDo) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const int eta = 2 + static_cast<int>(seed % 3);
    const std::string config =
        "{type: asha, rule: stopping, max_epochs: 30, eta: " + std::to_string(eta) + "}";
    const auto scheduler = scheduler_from(config);
    const Regatta regatta = run_crews(
        *scheduler, {.crews = 8, .trials = 150, .seed = seed, .failure_rate = seed % 2 == 0 ? 0.02 : 0});
    ASSERT_TRUE(regatta.finished);
    TextbookAsha textbook(rungs_above_min({.min_epochs = 1, .max_epochs = 30, .eta = eta}), {.eta = eta});
    for (const Fact& fact : regatta.facts) {
      if (const auto* ended = std::get_if<Ended>(&fact)) {
        const std::size_t rung = next_rung(textbook, ended->trial, 30);
        textbook.record(rung, std::numeric_limits<double>::infinity(), ended->trial.number);
      } else if (const auto* reported = std::get_if<Reported>(&fact)) {
        const Trial& trial = reported->trial;
        const double value = trial.scores.back().values[0];
        auto expected = Verdict::Action::go_on;
        if (const auto rung = textbook.rung_at(last_epoch(trial))) {
          textbook.record(*rung, value, trial.number);
          expected = *rung == textbook.top()                      ? Verdict::Action::complete
                     : textbook.keeps(*rung, value, trial.number) ? Verdict::Action::go_on
                                                                  : Verdict::Action::stop;
        }
        ASSERT_EQ(reported->ruling.verdict.action, expected) << trial.number << "@" << last_epoch(trial);
      }
    }
    const auto again = scheduler_from(config);
    expect_same_answers(*again, regatta.facts);
  }
}

TEST(Asha, EveryStudyEndsUnderBothRulesWithSeveralBracketsAndCoarseReports) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::string rule = seed % 2 == 0 ? "promotion" : "stopping";
    const auto scheduler = scheduler_from("{type: asha, max_epochs: 27, brackets: 3, rule: " + rule + "}");
    const Regatta regatta = run_crews(*scheduler, {.crews = 1 + static_cast<int>(seed),
                                                   .trials = 120,
                                                   .seed = seed,
                                                   .failure_rate = 0.05,
                                                   .completion_rate = 0.05,
                                                   .invalid_rate = 0.05,
                                                   .report_every = 1 + static_cast<int>(seed % 7)});
    EXPECT_TRUE(regatta.finished);
  }
}

TEST(Asha, TenThousandTrialsOnAThousandCrewsTakeSeconds) {
  for (const char* rule : {"promotion", "stopping"}) {
    const auto scheduler =
        scheduler_from(std::string("{type: asha, max_epochs: 81, brackets: 2, rule: ") + rule + "}");
    const Regatta regatta = run_crews(*scheduler, {.crews = 1000, .trials = 10000, .seed = 5});
    EXPECT_TRUE(regatta.finished);
    EXPECT_EQ(regatta.trials.size(), 10000U);
  }
}

TEST(Asha, BracketsShareTheTrialsAsHyperbandDoesAndSkipTheirLowestRungs) {
  const auto scheduler = scheduler_from("{type: asha, max_epochs: 81, brackets: 3}");
  for (const RungPlan& rung : scheduler->plan()) {
    EXPECT_GE(rung.epochs, rung.bracket == 0 ? 1 : rung.bracket == 1 ? 3 : 9);
  }
  std::vector<int> started(3);
  for (int number = 0; number < 130; ++number) {
    const Assignment assignment = scheduler->next();
    ++started[static_cast<std::size_t>(std::get<StartTrial>(assignment).bracket)];
    scheduler->started({.number = number}, assignment);
  }
  EXPECT_THAT(started, testing::ElementsAre(81, 34, 15));
}

TEST(Asha, ARefusedRungCountNamesThePlace) {
  const auto refused = make_scheduler(typed("{type: asha, max_epochs: 9, brackets: 5}"), one_parameter());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "test.yaml:1:39: expected at most 3 brackets, one for each rung");
}

TEST(Asha, ALeaderUnderTheStoppingRuleIsRefusedBecauseItIsThereAnyway) {
  const auto refused =
      make_scheduler(typed("{type: asha, max_epochs: 9, rule: stopping, leader: true}"), one_parameter());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "test.yaml:1:53: rule: stopping never ends the best trial of a rung; leave out `leader`");
}

TEST(Asha, PausedTrialsWaitForRunningOnesAfterClosing) {
  const auto scheduler = scheduler_from("{type: asha, max_epochs: 9, eta: 3}");
  for (int number = 0; number < 3; ++number) {
    scheduler->started({.number = number}, scheduler->next());
  }
  const auto report = [&](int number, double value) {
    return scheduler->reported(
        {.number = number, .state = TrialState::running, .scores = {{.epoch = 1, .values = {value}}}});
  };
  EXPECT_EQ(report(0, 0.1).verdict.action, Verdict::Action::pause);
  EXPECT_EQ(report(1, 0.2).verdict.action, Verdict::Action::pause);
  EXPECT_TRUE(scheduler->closed().empty());
  EXPECT_EQ(to_string(scheduler->next()), "wait");
  EXPECT_EQ(report(2, 0.3).verdict.action, Verdict::Action::pause);
  const Assignment resume = scheduler->next();
  EXPECT_EQ(to_string(resume), "resume 0 until 3");
  scheduler->started({.number = 0}, resume);
  scheduler->ended({.number = 0, .state = TrialState::failed});
  EXPECT_EQ(to_string(scheduler->next()), "nothing left");
}

TEST(Asha, AReportThatCrossesRungsCountsInEachOfThem) {
  const auto scheduler = scheduler_from("{type: asha, max_epochs: 9, eta: 2}");  // rungs 1 2 4 8 9
  scheduler->started({.number = 0}, scheduler->next());
  scheduler->started({.number = 1}, scheduler->next());
  const Trial slow{.number = 0, .state = TrialState::running, .scores = {{.epoch = 2, .values = {0.9}}}};
  EXPECT_EQ(scheduler->reported(slow).verdict.action, Verdict::Action::pause);
  const Trial fast{.number = 1, .state = TrialState::running, .scores = {{.epoch = 2, .values = {0.1}}}};
  const Verdict verdict = scheduler->reported(fast).verdict;
  EXPECT_EQ(verdict.action, Verdict::Action::go_on);
  EXPECT_EQ(verdict.until_epoch, 4);
}

TEST(RankedRung, TheTopIsTheBestShareAfterEveryInsertion) {
  RankedRung rung({.eta = 3});
  std::vector<Ranked> all;
  for (int i = 0; i < 300; ++i) {
    all.push_back({static_cast<double>(i * 7919 % 101), i});
    rung.record(i, {all.back().value});
    std::vector<Ranked> sorted = all;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t rank = 0; rank < sorted.size(); ++rank) {
      ASSERT_EQ(rung.in_top(sorted[rank].trial), rank < sorted.size() / 3);
    }
  }
}

TEST(RankedRung, TheLeaderOfTwoIsInTheTop) {
  RankedRung rung({.eta = 4, .leader = true});
  rung.record(0, {0.5});
  EXPECT_TRUE(rung.has_no_top());
  rung.record(1, {0.7});
  EXPECT_TRUE(rung.in_top(0));
  rung.record(2, {0.3});
  EXPECT_TRUE(rung.in_top(2));
  EXPECT_FALSE(rung.in_top(0));
  for (int trial = 3; trial < 8; ++trial) {
    rung.record(trial, {1});
  }
  EXPECT_TRUE(rung.in_top(0));  // two in eight
  EXPECT_FALSE(rung.in_top(1));
}

TEST(RankedRung, OfSeveralObjectivesTheTopIsTheBestShareOfTheFrontsAfterEveryInsertion) {
  const Random random(5, "objectives");
  RankedRung rung({.eta = 3});
  std::map<int, Objectives> all;
  for (int i = 0; i < 90; ++i) {
    if (i % 10 == 7) {
      rung.record(i, {});
    } else {
      const auto index = static_cast<std::uint64_t>(2 * i);
      all[i] = {random.uniform(index), random.uniform(index + 1)};
      rung.record(i, all[i]);
    }
    const std::vector<int> ranked = ranked_trials(all);
    for (std::size_t rank = 0; rank < ranked.size(); ++rank) {
      ASSERT_EQ(rung.in_top(ranked[rank]), rank < static_cast<std::size_t>(i + 1) / 3);
    }
    rung.add_candidate(i);
    const auto promotable = rung.promotable();
    ASSERT_EQ(promotable.has_value(), i >= 2 && !ranked.empty());
    ASSERT_EQ(promotable.value_or(-1), promotable ? ranked.front() : -1);
  }
}

}  // namespace
}  // namespace regatta
