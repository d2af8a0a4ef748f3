// Virtual time: the next report of the fastest crew comes first.
#include "tests/search/simulated_crews.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <queue>
#include <set>

#include "base/random.h"

namespace regatta {
namespace {

struct Arrival {
  double time = 0;
  int trial = 0;
  friend auto operator<=>(const Arrival&, const Arrival&) = default;
};

class Crews {
 public:
  Crews(Scheduler& scheduler, const CrewsOptions& options)
      : scheduler_(scheduler),
        options_(options),
        values_(options.seed, "values"),
        chances_(options.seed, "chances"),
        points_(options.seed, "points"),
        idle_(options.crews) {}

  Regatta run() {
    while (assign_idle_crews() && !testing::Test::HasFailure()) {
      if (arrivals_.empty()) {
        ADD_FAILURE() << "the scheduler waits, but nothing runs";
        break;
      }
      const Arrival arrival = arrivals_.top();
      arrivals_.pop();
      now_ = arrival.time;
      arrive(arrival.trial);
    }
    return std::move(regatta_);
  }

 private:
  double chance() { return chances_.uniform(drawn_++); }
  // The epoch of its newest checkpoint.
  int reached(int number) {
    return trial(number).scores.empty() ? begins_[static_cast<std::size_t>(number)]
                                        : trial(number).scores.back().epoch;
  }
  Trial& trial(int number) { return regatta_.trials[static_cast<std::size_t>(number)]; }

  // False once nothing is left to do.
  bool assign_idle_crews() {
    while (idle_ > 0) {
      const Assignment answer = scheduler_.next();
      regatta_.facts.push_back(Asked{answer});
      if (const auto* start = std::get_if<StartTrial>(&answer)) {
        if (counted_ >= options_.trials) {
          close();
          continue;
        }
        const int number = static_cast<int>(regatta_.trials.size());
        if (start->parent) {
          EXPECT_FALSE(has_ended(trial(*start->parent).state)) << "its checkpoint may be gone";
        }
        const Point point = start->point.value_or(Point{points_.uniform(static_cast<std::uint64_t>(number))});
        EXPECT_TRUE(one_parameter().space->contains(point));
        regatta_.trials.push_back({.number = number, .point = point});
        regatta_.brackets.push_back(start->bracket);
        regatta_.parents.push_back(start->parent);
        granted_.push_back(0);
        begins_.push_back(start->parent ? reached(*start->parent) : 0);
        ++counted_;
        begin(number, answer, start->until_epoch);
      } else if (const auto* resume = std::get_if<ResumeTrial>(&answer)) {
        EXPECT_EQ(trial(resume->trial).state, TrialState::paused) << resume->trial;
        begin(resume->trial, answer, resume->until_epoch);
      } else if (std::holds_alternative<WaitForReports>(answer)) {
        return true;
      } else {
        finish();
        return false;
      }
    }
    return true;
  }

  void close() {
    EXPECT_FALSE(closed_) << "a new trial is wanted after closed()";
    closed_ = true;
    drop(scheduler_.closed());
    regatta_.facts.push_back(Closed{});
  }

  void begin(int number, const Assignment& assignment, int until_epoch) {
    EXPECT_GT(until_epoch, reached(number));
    EXPECT_LE(until_epoch, scheduler_.max_epochs());
    granted_[static_cast<std::size_t>(number)] = until_epoch;
    trial(number).state = TrialState::running;
    --idle_;
    scheduler_.started(trial(number), assignment);
    regatta_.facts.push_back(Started{trial(number), assignment});
    row(number);
  }

  void row(int number) {
    const double speed = 0.2 + values_.substream(7).uniform(static_cast<std::uint64_t>(number));
    arrivals_.push({now_ + speed * options_.report_every * (0.5 + chance()), number});
  }

  void arrive(int number) {
    if (trial(number).scores.empty() && chance() < options_.invalid_rate) {
      --counted_;
      end(number, TrialState::invalid);
    } else if (chance() < options_.failure_rate) {
      end(number, TrialState::failed);
    } else {
      report(number);
    }
  }

  void end(int number, TrialState state) {
    trial(number).state = state;
    ++idle_;
    const std::vector<int> dropped = scheduler_.ended(trial(number));
    regatta_.facts.push_back(Ended{trial(number)});
    drop(dropped);
  }

  void report(int number) {
    const int epoch = std::min(reached(number) + options_.report_every, scheduler_.max_epochs());
    const auto key = static_cast<std::uint64_t>(number);
    const double quality = values_.uniform(key) + values_.substream(key).uniform(epoch) / (1 + epoch);
    const double value = static_cast<double>(static_cast<int>(quality * 50)) / 50;
    trial(number).scores.push_back({.epoch = epoch, .values = {value}});
    trial(number).values = {value};
    const Ruling ruling = scheduler_.reported(trial(number));
    regatta_.facts.push_back(Reported{trial(number), ruling});
    drop(ruling.dropped);
    obey(number, epoch, ruling.verdict);
  }

  void obey(int number, int epoch, const Verdict& verdict) {
    using enum Verdict::Action;
    int& granted = granted_[static_cast<std::size_t>(number)];
    EXPECT_TRUE(verdict.action == go_on || epoch >= granted) << "ended before the epoch it was granted";
    EXPECT_TRUE(epoch < scheduler_.max_epochs() || verdict.action == complete);
    if (verdict.action == go_on) {
      EXPECT_GT(verdict.until_epoch, epoch);
      EXPECT_LE(verdict.until_epoch, scheduler_.max_epochs());
      EXPECT_TRUE(epoch >= granted || verdict.until_epoch == granted);
      granted = verdict.until_epoch;
      if (chance() < options_.completion_rate) {
        end(number, TrialState::complete);
      } else {
        row(number);
      }
      return;
    }
    trial(number).state = verdict.action == pause  ? TrialState::paused
                          : verdict.action == stop ? TrialState::stopped
                                                   : TrialState::complete;
    ++idle_;
  }

  void drop(const std::vector<int>& dropped) {
    for (const int number : dropped) {
      EXPECT_EQ(trial(number).state, TrialState::paused) << "dropped trial " << number;
      trial(number).state = TrialState::stopped;
    }
  }

  void finish() {
    EXPECT_EQ(idle_, options_.crews) << "NothingLeft while a trial runs";
    EXPECT_TRUE(closed_);
    for (Trial& each : regatta_.trials) {
      each.state = each.state == TrialState::paused ? TrialState::stopped : each.state;
    }
    regatta_.finished = true;
  }

  Scheduler& scheduler_;
  CrewsOptions options_;
  Random values_;
  Random chances_;
  Random points_;
  std::uint64_t drawn_ = 0;
  int idle_;
  int counted_ = 0;
  bool closed_ = false;
  double now_ = 0;
  std::vector<int> granted_;  // by trial
  std::vector<int> begins_;   // by trial: its parent's epoch
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> arrivals_;
  Regatta regatta_;
};

}  // namespace

Regatta run_crews(Scheduler& scheduler, const CrewsOptions& options) {
  return Crews(scheduler, options).run();
}

void expect_same_answers(Scheduler& scheduler, const std::vector<Fact>& facts) {
  for (const Fact& fact : facts) {
    if (const auto* asked = std::get_if<Asked>(&fact)) {
      ASSERT_EQ(to_string(scheduler.next()), to_string(asked->answer));
    } else if (const auto* started = std::get_if<Started>(&fact)) {
      scheduler.started(started->trial, started->assignment);
    } else if (const auto* reported = std::get_if<Reported>(&fact)) {
      const Ruling ruling = scheduler.reported(reported->trial);
      ASSERT_EQ(ruling.verdict.action, reported->ruling.verdict.action);
      ASSERT_EQ(ruling.verdict.until_epoch, reported->ruling.verdict.until_epoch);
      ASSERT_EQ(ruling.dropped, reported->ruling.dropped);
    } else if (const auto* ended = std::get_if<Ended>(&fact)) {
      scheduler.ended(ended->trial);
    } else {
      scheduler.closed();
    }
  }
}

std::string to_string(const Assignment& assignment) {
  if (const auto* start = std::get_if<StartTrial>(&assignment)) {
    std::string text = fmt::format("start in bracket {} until {}", start->bracket, start->until_epoch);
    if (start->point) {
      text += " at " + fmt::format("{}", *start->point->front());
    }
    return start->parent ? text + fmt::format(" from {}", *start->parent) : text;
  }
  if (const auto* resume = std::get_if<ResumeTrial>(&assignment)) {
    return fmt::format("resume {} until {}", resume->trial, resume->until_epoch);
  }
  return std::holds_alternative<WaitForReports>(assignment) ? "wait" : "nothing left";
}

Typed typed(const std::string& yaml) {
  return read_typed(parse_yaml(yaml, "test.yaml").value(), "test").value();
}

SearchContext one_parameter() {
  static const Space space({Parameter{.name = "x", .domain = FloatDomain{}, .when = {}, .place = {}}});
  return {.space = &space};
}

std::unique_ptr<Scheduler> scheduler_from(const std::string& yaml) {
  return make_scheduler(typed(yaml), one_parameter()).value();
}

}  // namespace regatta
