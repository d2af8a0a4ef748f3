// The study and simulated crews, hand in hand until the study has ended.
#include "coordinator/simulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <map>
#include <numbers>
#include <utility>

#include "base/random.h"
#include "base/text.h"
#include "coordinator/objectives.h"
#include "coordinator/simulated_crews.h"

namespace regatta {
namespace {

double seconds(Microseconds time) { return std::chrono::duration<double>(time).count(); }

// FNV-1a over the stored form of events.
class Fingerprint {
 public:
  void add(const TimedEvent& event) {
    const EncodedEvent encoded = encode(event.event);
    add(std::to_string(event.at.count()));
    add(encoded.kind);
    add(encoded.body);
  }
  std::uint64_t value() const { return hash_; }

 private:
  void add(std::string_view bytes) {
    for (const unsigned char byte : bytes) {
      hash_ = (hash_ ^ byte) * 0x100000001b3;
    }
  }
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

void count_trials(const Study& study, SimulationResult& result) {
  result.trials = static_cast<int>(study.trials().size());
  for (const Trial& trial : study.trials()) {
    result.complete += trial.state == TrialState::complete ? 1 : 0;
    result.stopped += trial.state == TrialState::stopped ? 1 : 0;
    result.failed += trial.state == TrialState::failed ? 1 : 0;
  }
  if (const auto best = study.best_trial()) {
    result.best_trial = *best;
    result.best_value = in_user_direction(study.experiment().objectives.front(),
                                          study.trials()[static_cast<std::size_t>(*best)].values.front());
  }
}

// A number that depends on every bit of the point and the epoch, so that each report has noise of its own.
std::uint64_t noise_index(const Point& point, int epoch) {
  std::uint64_t index = static_cast<std::uint64_t>(epoch);
  for (const auto& value : point) {
    const auto bits = std::bit_cast<std::uint64_t>(value.value_or(-1.0));
    index = (index ^ bits) * 0x9e3779b97f4a7c15;
    index ^= index >> 29;
  }
  return index;
}

}  // namespace

// The loss falls from about 0.95 as asymptote + gap · epoch^-decay. The asymptote grows with the distance
// from an optimum that the seed places inside the unit cube.
double simulated_value(const Experiment& experiment, const Point& point, int epoch, std::uint64_t seed) {
  const Random random(seed, "simulated curves");
  const std::vector<double> unit = experiment.space.to_unit(point);
  double distance = 0;  // mean square
  double wave = 0;
  for (std::size_t i = 0; i < unit.size(); ++i) {
    const double optimum = 0.15 + 0.7 * random.uniform(2 * i);
    const double difference = unit[i] - optimum;
    distance += difference * difference / static_cast<double>(unit.size());
    wave += unit[i] * random.uniform(2 * i + 1);
  }
  const double asymptote = 0.05 + 0.8 * (1 - std::exp(-4 * distance));
  const double decay = 0.7 + 0.3 * std::sin(2 * std::numbers::pi * wave);
  const double noise = Random(seed, "simulated noise").normal(noise_index(point, epoch));
  const double loss = asymptote + (0.95 - asymptote) * std::pow(epoch, -decay) + 0.003 * noise;
  return experiment.objectives.front().direction == Direction::maximize ? 1 - loss : loss;
}

namespace {

// What the events add up to.
class Tally {
 public:
  explicit Tally(const SimulatedCrews& crews) : crews_(crews) {}

  void count(const TimedEvent& event) {
    fingerprint_.add(event);
    if (const auto* reported = std::get_if<Reported>(&event.event)) {
      Running& running = running_[reported->trial];
      seconds_counted_ += reported->seconds * running.slots + std::exchange(running.part_seconds, 0);
      ++result_.epochs;
    } else if (const auto* started = std::get_if<AttemptStarted>(&event.event)) {
      running_[started->trial] = {.slots = crews_.slots_of(started->crew),
                                  .part_seconds = crews_.seconds_of_part(started->checkpoint)};
      ++result_.attempts;
    } else if (const auto* ended = std::get_if<AttemptEnded>(&event.event)) {
      running_.erase(ended->trial);
    }
  }

  SimulationResult finish(const Study& study, double makespan, double lane_seconds, double trained) {
    count_trials(study, result_);
    result_.makespan_seconds = makespan;
    if (lane_seconds > 0) {
      result_.busy_fraction = seconds_counted_ / lane_seconds;
      result_.lost_fraction = (trained - seconds_counted_) / lane_seconds;
    }
    result_.fingerprint = fingerprint_.value();
    return result_;
  }

 private:
  struct Running {
    int slots = 1;            // of its crew
    double part_seconds = 0;  // of an epoch that an earlier attempt began
  };
  const SimulatedCrews& crews_;
  std::map<int, Running> running_;  // by trial
  SimulationResult result_;
  Fingerprint fingerprint_;
  double seconds_counted_ = 0;
};

// The crews of an earlier session are gone with it.
std::vector<Input> lost_crews(const Study& study) {
  std::vector<Input> lost;
  for (const TrialRecord& record : study.records()) {
    if (record.attempt) {
      lost.push_back(CrewLost{.crew = record.crew, .preempted = true, .reason = "its session has ended"});
    }
  }
  return lost;
}

}  // namespace

Result<SimulationResult> simulate(Study& study, const SimulationOptions& options,
                                  const SimulationHooks& hooks) {
  const SystemClock wall_clock;  // for wall_seconds only
  const Microseconds began = wall_clock.monotonic();
  SimulatedCrews crews(study.experiment(), options);
  crews.know_files(study.checkpoints());
  const Microseconds start = crews.now();
  if (const auto hours = study.config().stop.hours) {
    crews.tick_at(start + Microseconds(static_cast<std::int64_t>(std::ceil(*hours * 3600e6))));
  }
  Tally tally(crews);
  std::vector<Input> first = lost_crews(study);
  std::reverse(first.begin(), first.end());
  while (!study.ended()) {
    std::optional<Input> input;
    if (!first.empty()) {
      input = std::move(first.back());
      first.pop_back();
    } else {
      input = crews.next();
    }
    if (!input) {
      return failure(fmt::format("the simulation came to a standstill after {}: no crew has anything to do",
                                 format_duration(seconds(crews.now() - start))));
    }
    const Reaction reaction = study.handle(*input, crews.now());
    for (const TimedEvent& event : reaction.events) {
      tally.count(event);
      if (hooks.observe) {
        hooks.observe(event);
      }
    }
    for (const Command& command : reaction.commands) {
      crews.carry_out(command);
    }
    if (hooks.step) {
      ASSIGN_OR_RETURN(std::optional<Input> next, hooks.step());
      if (next) {
        first.push_back(*std::move(next));
      }
    }
  }
  if (!crews.violations().empty()) {
    return failure("the study broke a rule: " + crews.violations().front());
  }
  const double makespan = seconds(crews.now() - start);
  SimulationResult result =
      tally.finish(study, makespan, makespan * options.crews * options.lanes, crews.seconds_trained());
  result.wall_seconds = seconds(wall_clock.monotonic() - began);
  return result;
}

}  // namespace regatta
