// Ask and tell against schedulers that pause, stop and resume, and against every mistake of its caller.
#include "search/ask_tell.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Action = AskTell::Decision::Action;

// A search over x in [0, 1]; the experiment stands at a fixed address.
class Searched {
 public:
  explicit Searched(const std::string& search, const std::string& objective = "{minimize: loss}",
                    const std::string& space = "x: {float: [0, 1]}")
      : experiment_(std::make_unique<Experiment>(parse_experiment("objective: " + objective + "\nsearch: {" +
                                                                      search + "}\nspace: {" + space + "}\n",
                                                                  "exp.yaml")
                                                     .value())),
        search_(*experiment_, read_search(*experiment_, EndRule::optional).value()) {}

  AskTell* operator->() { return &search_; }
  AskTell::Work work() { return std::get<AskTell::Work>(search_.ask()); }
  bool is_done() { return std::holds_alternative<AskTell::Done>(search_.ask()); }
  bool must_wait() { return std::holds_alternative<AskTell::NothingNow>(search_.ask()); }
  TrialState state(int trial) const { return search_.trials()[static_cast<std::size_t>(trial)].state; }
  Action report(int trial, int epoch, double value) {
    return search_.report(trial, epoch, {value}).value().action;
  }

 private:
  std::unique_ptr<Experiment> experiment_;
  AskTell search_;
};

template <class T>
std::string message_of(const Result<T>& result) {
  return result.ok() ? "no error" : result.error().message;
}

TEST(AskTell, EndsWithItsTrials) {
  Searched search("stop: {trials: 3}");
  for (int i = 0; i < 3; ++i) {
    const AskTell::Work work = search.work();
    EXPECT_EQ(work.trial, i);
    EXPECT_EQ(work.until_epoch, kUnlimitedEpochs);
    EXPECT_FALSE(work.resumed);
    ASSERT_TRUE(search->tell(work.trial, {1.0 - i}).ok());
    EXPECT_EQ(search.state(i), TrialState::complete);
  }
  EXPECT_TRUE(search.is_done());
  EXPECT_TRUE(search.is_done());
  EXPECT_EQ(search->best(), 2);
}

TEST(AskTell, SeveralTrialsAreOpenAtOnceAndDiffer) {
  Searched search("stop: {trials: 8}");
  std::set<double> points;
  for (int i = 0; i < 8; ++i) {
    points.insert(search.work().point.at(0).value());
  }
  EXPECT_EQ(points.size(), 8);
  EXPECT_EQ(search->open().size(), 8);
  EXPECT_TRUE(search.is_done()) << "whatever becomes of the open trials, there is no more work";
  ASSERT_TRUE(search->tell(5, {0.5}).ok());
  EXPECT_EQ(search->open().size(), 7);
}

TEST(AskTell, AnInvalidTrialIsReplacedAndAFailedOneIsNot) {
  Searched search("stop: {trials: 2}");
  search.work();
  search.work();
  ASSERT_TRUE(search->give_up(0, AskTell::Failure::failed).ok());
  EXPECT_TRUE(search.is_done());
  ASSERT_TRUE(search->give_up(1, AskTell::Failure::invalid).ok());
  EXPECT_EQ(search.work().trial, 2);
  EXPECT_TRUE(search.is_done());
  EXPECT_EQ(search.state(0), TrialState::failed);
  EXPECT_EQ(search.state(1), TrialState::invalid);
}

TEST(AskTell, ASpaceThatIsExhaustedEndsIt) {
  Searched search("sampler: grid", "{minimize: loss}", "x: {int: [1, 3]}");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(search->tell(search.work().trial, {0}).ok());
  }
  EXPECT_TRUE(search.is_done());
}

TEST(AskTell, WithoutAStopRuleItGoesOn) {
  Searched search("scheduler: fifo");
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(search->tell(search.work().trial, {0}).ok());
  }
  EXPECT_EQ(search.work().trial, 1000);
}

TEST(AskTell, ValuesAreInTheUsersDirection) {
  Searched search("stop: {trials: 5, target: 0.9}", "{maximize: accuracy}");
  ASSERT_TRUE(search->tell(search.work().trial, {0.3}).ok());
  ASSERT_TRUE(search->tell(search.work().trial, {0.7}).ok());
  EXPECT_EQ(search->best(), 1);
  EXPECT_THAT(search->trials()[1].values, ElementsAre(-0.7));
  ASSERT_TRUE(search->tell(search.work().trial, {0.91}).ok());
  EXPECT_TRUE(search.is_done()) << "the target is reached";
}

TEST(AskTell, TheTrialThatReachesTheTargetIsCompleteAndEndsTheOthers) {
  Searched search("scheduler: {type: fifo, max_epochs: 10}, stop: {target: 0.1}");
  search.work();
  search.work();
  EXPECT_EQ(search.report(0, 1, 0.5), Action::go_on);
  EXPECT_EQ(search.report(1, 1, 0.05), Action::stop);
  EXPECT_TRUE(search.is_done());
  EXPECT_EQ(search.report(0, 2, 0.4), Action::stop);
  EXPECT_EQ(search.state(0), TrialState::stopped);
  EXPECT_EQ(search.state(1), TrialState::complete);
}

TEST(AskTell, ATrialCompletesAtMaxEpochsAndATellAfterwardsChangesNothing) {
  Searched search("scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 2}");
  EXPECT_EQ(search.work().until_epoch, 3);
  EXPECT_EQ(search.report(0, 1, 0.5), Action::go_on);
  EXPECT_EQ(search.report(0, 3, 0.4), Action::stop) << "epochs may be left out";
  EXPECT_EQ(search.state(0), TrialState::complete);
  for (int twice = 0; twice < 2; ++twice) {
    ASSERT_TRUE(search->tell(0, {0.1}).ok());
    ASSERT_TRUE(search->give_up(0, AskTell::Failure::failed).ok());
  }
  EXPECT_EQ(search.state(0), TrialState::complete);
  EXPECT_THAT(search->trials()[0].values, ElementsAre(0.4));
}

TEST(AskTell, ADivergedReportFailsTheTrial) {
  Searched search("scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 2}");
  search.work();
  EXPECT_EQ(search.report(0, 1, 0.5), Action::go_on);
  EXPECT_EQ(search.report(0, 2, std::nan("")), Action::stop);
  EXPECT_EQ(search.state(0), TrialState::failed);
  EXPECT_TRUE(search->tell(0, {std::nan("")}).ok());
  search.work();
  ASSERT_TRUE(search->tell(1, {std::numeric_limits<double>::infinity()}).ok());
  EXPECT_EQ(search.state(1), TrialState::failed);
}

TEST(AskTell, ToldValuesAreTheLastScoreUnlessTheyWereReported) {
  Searched search("scheduler: {type: fifo, max_epochs: 9}, stop: {trials: 3}");
  for (int i = 0; i < 3; ++i) {
    search.work();
  }
  ASSERT_TRUE(search->tell(0, {0.7}).ok());
  EXPECT_EQ(search->trials()[0].scores.back().epoch, 1);
  search.report(1, 4, 0.6);
  ASSERT_TRUE(search->tell(1, {0.6}).ok());
  EXPECT_EQ(search->trials()[1].scores.size(), 1);
  search.report(2, 4, 0.6);
  ASSERT_TRUE(search->tell(2, {0.5}).ok());
  EXPECT_EQ(search->trials()[2].scores.back().epoch, 5);
  EXPECT_THAT(search->trials()[2].values, ElementsAre(0.5));
}

// One worker, Hyperband with eta 3 up to 9: rungs 9@1 3@3 1@9, 5@3 1@9, 3@9. Sequentially no ask has to wait.
TEST(AskTell, PausedTrialsComeBackAtTheirEpochUntilTheRoundIsOver) {
  Searched search("scheduler: {type: hyperband, max_epochs: 9}");
  std::map<int, int> trained;
  int resumed = 0;
  AskTell::Answer answer = search->ask();
  while (const auto* work = std::get_if<AskTell::Work>(&answer)) {
    EXPECT_EQ(work->from_epoch, trained[work->trial]);
    EXPECT_EQ(work->resumed, work->from_epoch > 0);
    EXPECT_FALSE(search->report(work->trial, work->from_epoch, {0}).ok());
    resumed += work->resumed ? 1 : 0;
    int until = work->until_epoch;
    for (int epoch = work->from_epoch + 1; epoch <= until; ++epoch) {
      const double value = *work->point[0] + 1.0 / epoch;
      const AskTell::Decision decision = search->report(work->trial, epoch, {value}).value();
      trained[work->trial] = epoch;
      if (decision.action != Action::go_on) {
        EXPECT_EQ(epoch, until) << "what was granted is trained";
        break;
      }
      until = decision.until_epoch;
    }
    answer = search->ask();
  }
  EXPECT_TRUE(std::holds_alternative<AskTell::Done>(answer));
  EXPECT_EQ(trained.size(), 17);
  int epochs = 0;
  for (const auto& [trial, count] : trained) {
    epochs += count;
  }
  EXPECT_EQ(epochs, (9 - 3) * 1 + (3 - 1) * 3 + 9 + (5 - 1) * 3 + 9 + 3 * 9);
  EXPECT_GT(resumed, 0);
  for (const Trial& trial : search->trials()) {
    EXPECT_TRUE(has_ended(trial.state)) << trial.number;
  }
}

TEST(AskTell, WaitsForTrialsThatMayDecideAPromotion) {
  Searched search("scheduler: {type: asha, max_epochs: 9}, stop: {trials: 3}");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(search.work().until_epoch, 1);
  }
  EXPECT_TRUE(search.must_wait());
  EXPECT_EQ(search.report(0, 1, 0.3), Action::pause);
  EXPECT_EQ(search.report(1, 1, 0.1), Action::pause);
  EXPECT_TRUE(search.must_wait());
  EXPECT_EQ(search.report(2, 1, 0.2), Action::pause);
  const AskTell::Work promoted = search.work();
  EXPECT_EQ(promoted.trial, 1);
  EXPECT_TRUE(promoted.resumed);
  EXPECT_EQ(promoted.from_epoch, 1);
  EXPECT_EQ(promoted.until_epoch, 3);
  EXPECT_TRUE(search.must_wait());
  ASSERT_TRUE(search->give_up(1, AskTell::Failure::failed).ok());
  EXPECT_TRUE(search.is_done());
}

TEST(AskTell, ATrialThatEndsItselfIsCompleteWhateverWasGranted) {
  Searched search("scheduler: {type: hyperband, max_epochs: 9}");
  for (int i = 0; i < 9; ++i) {
    ASSERT_TRUE(search->tell(search.work().trial, {0.1 * i}).ok());
    EXPECT_EQ(search.state(i), TrialState::complete);
  }
  EXPECT_EQ(search.work().until_epoch, 3) << "nobody of the first bracket is left to be resumed";
}

TEST(AskTell, SeveralObjectives) {
  Searched search("stop: {trials: 2}", "[{minimize: loss}, {maximize: speed}]");
  search.work();
  EXPECT_THAT(message_of(search->tell(0, {0.5})), HasSubstr("expected 2 values"));
  ASSERT_TRUE(search->tell(0, {0.5, 3}).ok());
  EXPECT_THAT(search->trials()[0].values, ElementsAre(0.5, -3));
}

TEST(AskTell, MistakesAreErrorsAndChangeNothing) {
  Searched search("scheduler: {type: asha, max_epochs: 9}, stop: {trials: 9}");
  for (int i = 0; i < 3; ++i) {
    search.work();
  }
  search.report(0, 1, 0.5);
  ASSERT_TRUE(search->tell(1, {0.4}).ok());
  EXPECT_THAT(message_of(search->report(0, 2, {0.4})), HasSubstr("trial 0 is paused"));
  EXPECT_THAT(message_of(search->tell(0, {0.4})), HasSubstr("trial 0 is paused"));
  EXPECT_THAT(message_of(search->tell(1, {0.4})), HasSubstr("trial 1 has ended: it is complete"));
  EXPECT_THAT(message_of(search->report(1, 5, {0.4})), HasSubstr("trial 1 has ended"));
  EXPECT_THAT(message_of(search->tell(3, {0.4})), HasSubstr("there is no trial 3"));
  EXPECT_THAT(message_of(search->tell(-1, {0.4})), HasSubstr("there is no trial -1"));
  EXPECT_THAT(message_of(search->report(2, 0, {0.4})), HasSubstr("expected a later one"));
  EXPECT_THAT(message_of(search->report(2, kUnlimitedEpochs, {0.4})), HasSubstr("expected an epoch below"));
  EXPECT_THAT(message_of(search->report(2, 1, {})), HasSubstr("expected 1 value, one"));
  EXPECT_THAT(message_of(search->give_up(9, AskTell::Failure::failed)), HasSubstr("there is no trial 9"));
  EXPECT_EQ(search.state(2), TrialState::running);
  EXPECT_TRUE(search->trials()[2].scores.empty());

  Searched other("stop: {trials: 1}");
  other.work();
  other.report(0, 1, 0.5);
  EXPECT_THAT(message_of(other->give_up(0, AskTell::Failure::invalid)),
              HasSubstr("can fail, but not be invalid"));
}

// Grants each trial two epochs more than its parent has; every second trial is a copy of the one before it,
// at a point of the scheduler's own.
class CopyingScheduler final : public Scheduler {
 public:
  Assignment next() const override {
    if (closed_) {
      return NothingLeft{};
    }
    if (waits_) {
      return WaitForReports{};
    }
    StartTrial start{.until_epoch = 2};
    if (started_ % 2 == 1) {
      start = {.until_epoch = 4, .point = Point{0.25}, .parent = started_ - 1};
    }
    return start;
  }
  void started(const Trial&, const Assignment&) override {
    ++started_;
    waits_ = true;
  }
  Ruling reported(const Trial& trial) override {
    waits_ = false;
    const bool due = trial.scores.back().epoch >= (trial.number % 2 == 0 ? 2 : 4);
    return {.verdict = {.action = due ? Verdict::Action::complete : Verdict::Action::go_on,
                        .until_epoch = trial.number % 2 == 0 ? 2 : 4}};
  }
  std::vector<int> ended(const Trial&) override { return {}; }
  std::vector<int> closed() override {
    closed_ = true;
    return {};
  }
  std::vector<RungPlan> plan() const override { return {}; }
  int max_epochs() const override { return 4; }
  int trials_per_round() const override { return 0; }

 private:
  int started_ = 0;
  bool waits_ = false;  // for a report of the newest trial
  bool closed_ = false;
};

TEST(AskTell, ASchedulerMayChooseThePointAndTheCheckpointToBeginWith) {
  const Experiment experiment =
      parse_experiment("objective: {minimize: loss}\nspace: {x: {float: [0, 1]}}", "exp.yaml").value();
  const SearchConfig config = read_search(experiment, EndRule::optional).value();
  AskTell search(experiment, {.trials = 4},
                 make_sampler(config.sampler, search_context(experiment, config)).value(),
                 std::make_unique<CopyingScheduler>());
  const auto first = std::get<AskTell::Work>(search.ask());
  EXPECT_EQ(first.parent, std::nullopt);
  ASSERT_TRUE(search.report(0, 2, {0.5}).ok());
  const auto copy = std::get<AskTell::Work>(search.ask());
  EXPECT_THAT(copy.point, ElementsAre(0.25));
  EXPECT_EQ(copy.parent, 0);
  EXPECT_EQ(copy.from_epoch, 2);
  EXPECT_EQ(copy.until_epoch, 4);
  EXPECT_FALSE(copy.resumed);
  EXPECT_THAT(message_of(search.report(1, 2, {0.4})), HasSubstr("trial 1 has trained 2 epochs"));
  EXPECT_TRUE(std::holds_alternative<AskTell::NothingNow>(search.ask()))
      << "all epochs are granted, but another trial may follow";
  EXPECT_EQ(search.report(1, 3, {0.4}).value().action, Action::go_on);
  EXPECT_EQ(search.report(1, 4, {0.3}).value().action, Action::stop);
  EXPECT_EQ(search.trials()[1].state, TrialState::complete);
}

// The same requests lead to the same answers: what a journal relies on.
TEST(AskTell, IsAFunctionOfItsRequests) {
  std::vector<std::vector<double>> runs;
  for (int run = 0; run < 2; ++run) {
    Searched search("sampler: sobol, scheduler: {type: asha, max_epochs: 9}, stop: {trials: 20}");
    runs.emplace_back();
    AskTell::Answer answer = search->ask();
    while (const auto* work = std::get_if<AskTell::Work>(&answer)) {
      runs.back().push_back(*work->point[0]);
      for (int epoch = work->from_epoch + 1; epoch <= work->until_epoch; ++epoch) {
        search.report(work->trial, epoch, *work->point[0]);
      }
      answer = search->ask();
    }
  }
  EXPECT_GT(runs[0].size(), 20);
  EXPECT_EQ(runs[0], runs[1]);
}

}  // namespace
}  // namespace regatta
