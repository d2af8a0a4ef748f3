// A replayed study equals the live one, and a coordinator may die after any event.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <limits>
#include <set>

#include "base/random.h"
#include "study_kit.h"

namespace regatta {
namespace {

// Random points do not depend on what has ended before, which a crash changes.
constexpr const char* kSearches[] = {
    "sampler: random, scheduler: {type: fifo, max_epochs: 4}, stop: {trials: 12}",
    "sampler: random, scheduler: fifo, stop: {trials: 6}",
    "sampler: random, scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 20}",
    "sampler: random, scheduler: {type: asha, max_epochs: 9}, stop: {trials: 20}",
    "sampler: random, scheduler: {type: asha, rule: stopping, max_epochs: 9}, stop: {trials: 20}",
    "sampler: random, scheduler: {type: pbt, max_epochs: 9, interval: 3, population: 6}, stop: {trials: 20}",
    "sampler: random, scheduler: {type: freeze-thaw, max_epochs: 4}, stop: {trials: 8}",
};
// With several lanes, trials of one size share a crew.
struct Setting {
  const char* search;
  int lanes = 1;
  bool elastic = false;
  bool on_cards = false;
};
std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const Setting& kind : {Setting{.search = ""},
                              {.search = "", .lanes = 3},
                              {.search = "", .elastic = true},
                              {.search = "", .elastic = true, .on_cards = true}}) {
    for (const char* search : kSearches) {
      all.push_back({search, kind.lanes, kind.elastic, kind.on_cards});
    }
  }
  return all;
}

double size_of(const Point& point) { return point[2].value(); }

StudyOptions options_of(const Setting& setting) {
  StudyOptions options;
  if (setting.lanes > 1) {
    options.shape_of = [](const Point& point) { return std::to_string(size_of(point)); };
  }
  if (setting.elastic) {  // cheap, so that crews change often
    options.elastic = ElasticOptions{
        .start_seconds = 1, .handover_seconds = 1, .margin = 1, .waits_for_exit = [cards = setting.on_cards] {
          return cards;
        }};
  }
  return options;
}

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();
constexpr SimulationOptions kCalm{.crews = 4, .seed = 3};
constexpr SimulationOptions kFailing{
    .crews = 4, .seed = 3, .mean_seconds_to_failure = 60, .restart_seconds = 5};

// Whether the scheduler itself does, by the reports that it has seen.
bool chooses_points(const std::string& search) {
  return search.find("pbt") != std::string::npos || search.find("freeze-thaw") != std::string::npos;
}

std::string name_of_setting(const testing::TestParamInfo<Setting>& info) {
  return fmt::format("search{}_{}lanes{}{}", info.index % std::size(kSearches), info.param.lanes,
                     info.param.elastic ? "_elastic" : "", info.param.on_cards ? "_on_cards" : "");
}

SimulationOptions for_setting(SimulationOptions options, const Setting& setting) {
  options.lanes = setting.lanes;
  options.elastic = setting.elastic;
  return options;
}

// A coordinator, its crews, and the log that survives it.
class Rehearsal {
 public:
  Rehearsal(const Setting& setting, const SimulationOptions& options, const TransportFaults& faults)
      : study_options_(options_of(setting)),
        experiment_(make_experiment(setting.search)),
        crews_(experiment_, for_setting(options, setting), faults),
        study_(make_study(experiment_, study_options_)) {}

  // Until the study has ended, or `limit` events are in the log.
  void run(std::size_t limit = kNever) {
    while (!study_->ended() && log_.size() < limit) {
      const auto input = crews_.next();
      ASSERT_TRUE(input) << "standstill after " << log_.size() << " events";
      tell(*input);
    }
  }

  // The coordinator dies when `limit` events are in the log: whatever else followed from the last input is
  // not stored, and none of its commands is sent. False: the study ended before.
  bool run_and_die(std::size_t limit) {
    while (!study_->ended()) {
      const auto input = crews_.next();
      const Reaction reaction = study_->handle(input.value(), crews_.now());
      for (const TimedEvent& event : reaction.events) {
        log_.push_back(event);
        if (log_.size() >= limit) {
          restart();
          return true;
        }
      }
      carry_out(reaction);
    }
    return false;
  }

  void tell(const Input& input) {
    const Reaction reaction = study_->handle(input, crews_.now());
    log_.insert(log_.end(), reaction.events.begin(), reaction.events.end());
    carry_out(reaction);
  }

  void restart() {
    study_ = replayed(experiment_, study_options_, log_);
    const Reaction reaction = study_->resume(false, crews_.now());
    log_.insert(log_.end(), reaction.events.begin(), reaction.events.end());
    crews_.reconnect();
    carry_out(reaction);
  }

  void expect_sound() const {
    EXPECT_THAT(crews_.violations(), testing::IsEmpty());
    std::set<std::pair<int, int>> reported;
    std::set<int> running;
    int proposed = 0;
    for (const TimedEvent& event : log_) {
      if (const auto* trial = std::get_if<TrialProposed>(&event.event)) {
        EXPECT_EQ(trial->trial, proposed++);
      } else if (const auto* start = std::get_if<AttemptStarted>(&event.event)) {
        EXPECT_TRUE(running.insert(start->trial).second) << "trial " << start->trial << " runs twice";
      } else if (const auto* report = std::get_if<Reported>(&event.event)) {
        EXPECT_TRUE(reported.emplace(report->trial, report->epoch).second)
            << "trial " << report->trial << " epoch " << report->epoch;
      } else if (const auto* end = std::get_if<AttemptEnded>(&event.event)) {
        EXPECT_EQ(running.erase(end->trial), 1u);
      }
    }
    EXPECT_TRUE(running.empty());
    for (const Trial& trial : study_->trials()) {
      EXPECT_TRUE(has_ended(trial.state)) << trial.number;
    }
  }

  const Study& study() const { return *study_; }
  const Experiment& experiment() const { return experiment_; }
  const StudyOptions& study_options() const { return study_options_; }
  const std::vector<TimedEvent>& log() const { return log_; }
  SimulatedCrews& crews() { return crews_; }

 private:
  double size(int trial) const { return size_of(study_->trials()[static_cast<std::size_t>(trial)].point); }

  void carry_out(const Reaction& reaction) {
    for (const Command& command : reaction.commands) {
      crews_.carry_out(command);
      if (const auto* start = std::get_if<StartAttempt>(&command);
          start != nullptr && study_options_.shape_of) {
        for (const int other : crews_.trials_of(start->crew)) {
          EXPECT_EQ(size(other), size_of(start->point))
              << "trials " << other << " and " << start->trial << " share " << start->crew;
        }
      }
    }
  }

  StudyOptions study_options_;
  Experiment experiment_;
  SimulatedCrews crews_;
  std::unique_ptr<Study> study_;
  std::vector<TimedEvent> log_;
};

class ReplayTest : public testing::TestWithParam<Setting> {};

TEST_P(ReplayTest, AReplayedStudyEqualsTheLiveOneAfterEveryReaction) {
  const Experiment experiment = make_experiment(GetParam().search);
  const StudyOptions options = options_of(GetParam());
  SimulatedCrews crews(experiment, for_setting(kFailing, GetParam()),
                       {.duplicate_probability = 0.2, .max_delay_seconds = 20});
  const auto live = make_study(experiment, options);
  std::vector<TimedEvent> log;
  while (!live->ended()) {
    const auto input = crews.next();
    const Reaction reaction = live->handle(input.value(), crews.now());
    log.insert(log.end(), reaction.events.begin(), reaction.events.end());
    ASSERT_EQ(describe(*replayed(experiment, options, log)), describe(*live))
        << "after " << log.size() << " events";
    for (const Command& command : reaction.commands) {
      crews.carry_out(command);
    }
  }
}

TEST_P(ReplayTest, ACoordinatorMayDieAfterAnyEventOfACalmStudy) {
  const TransportFaults faults{.tick_seconds = 7};
  Rehearsal calm(GetParam(), kCalm, faults);
  calm.run();
  calm.expect_sound();
  for (std::size_t death = 1; death < calm.log().size(); ++death) {
    SCOPED_TRACE(fmt::format("died after event {}", death));
    Rehearsal rehearsal(GetParam(), kCalm, faults);
    ASSERT_TRUE(rehearsal.run_and_die(death));
    rehearsal.run();
    rehearsal.expect_sound();
    if (chooses_points(GetParam().search)) {
      continue;  // the order of reports changes its choice
    }
    ASSERT_EQ(rehearsal.study().trials().size(), calm.study().trials().size());
    for (const Trial& trial : rehearsal.study().trials()) {
      const Trial& expected = calm.study().trials()[static_cast<std::size_t>(trial.number)];
      EXPECT_EQ(trial.point, expected.point);
      EXPECT_NE(trial.state, TrialState::failed);
      const auto common = std::min(trial.scores.size(), expected.scores.size());
      for (std::size_t i = 0; i < common; ++i) {
        EXPECT_EQ(trial.scores[i].values, expected.scores[i].values);
      }
    }
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
}

TEST_P(ReplayTest, CrewsAndCoordinatorsMayDieAgainAndAgain) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    SimulationOptions options = kFailing;
    options.seed = seed;
    Rehearsal rehearsal(GetParam(), options,
                        {.duplicate_probability = 0.3, .max_delay_seconds = 15, .tick_seconds = 7});
    const Random deaths(seed, "deaths of the coordinator");
    bool died = true;
    for (std::uint64_t death = 0; died && death < 12; ++death) {
      died = rehearsal.run_and_die(rehearsal.log().size() + 1 + deaths.below(death, 25));
    }
    rehearsal.run();
    rehearsal.expect_sound();
    EXPECT_EQ(describe(*replayed(rehearsal.experiment(), rehearsal.study_options(), rehearsal.log())),
              describe(rehearsal.study()));
    if (::testing::Test::HasFailure()) {
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Searches, ReplayTest, testing::ValuesIn(settings()), name_of_setting);

TEST(Replay, AStudyWithoutCrashesAndFailuresIsTheSameAsOneWithCrashes) {
  const char* search = "sampler: random, scheduler: {type: fifo, max_epochs: 4}, stop: {trials: 12}";
  Rehearsal calm({search}, kCalm, {.tick_seconds = 7});
  calm.run();
  Rehearsal crashing({search}, kCalm, {.tick_seconds = 7});
  while (crashing.run_and_die(crashing.log().size() + 5)) {
  }
  ASSERT_EQ(calm.study().trials().size(), crashing.study().trials().size());
  for (std::size_t i = 0; i < calm.study().trials().size(); ++i) {
    EXPECT_EQ(calm.study().trials()[i].values, crashing.study().trials()[i].values);
    EXPECT_EQ(crashing.study().trials()[i].state, TrialState::complete);
  }
  EXPECT_EQ(calm.study().best_trial(), crashing.study().best_trial());
}

TEST(Replay, AStopRequestAtAnyTimeLosesNothing) {
  const char* search = "scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 20}";
  for (std::size_t stop = 20; stop < 80; stop += 3) {
    Rehearsal rehearsal({search}, kCalm, {.max_delay_seconds = 3});
    rehearsal.run(stop);
    rehearsal.tell(StopRequested{});
    rehearsal.run();
    ASSERT_TRUE(rehearsal.study().ended());
    EXPECT_EQ(rehearsal.study().ended()->reason, StudyEnded::Reason::interrupted);
    EXPECT_THAT(rehearsal.study().checkpoints(), testing::Not(testing::IsEmpty()));
    rehearsal.restart();
    rehearsal.run();
    EXPECT_EQ(rehearsal.study().trials().size(), 20u);
    rehearsal.expect_sound();
  }
}

}  // namespace
}  // namespace regatta
