// The study and simulated crews, hand in hand until the study has ended.
#include "coordinator/simulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <deque>
#include <iterator>
#include <map>
#include <numbers>
#include <utility>

#include "base/random.h"
#include "base/seconds.h"
#include "base/text.h"
#include "coordinator/objectives.h"
#include "coordinator/simulated_crews.h"

namespace regatta {
namespace {

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
      result_.lost_fraction = std::max(0.0, trained - seconds_counted_) / lane_seconds;  // sums round
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

// One session in virtual time. With costs the coordinator decides in batches and answers when each is stored;
// without, a batch is one message and takes no time.
class Simulation {
 public:
  Simulation(Study& study, const SimulationOptions& options, const SimulationHooks& hooks, double heartbeats)
      : study_(study),
        options_(options),
        hooks_(hooks),
        crews_(study.experiment(), options),
        coordinator_(options.costs.value_or(no_costs()), heartbeats),
        start_(crews_.now()),
        tally_(crews_) {
    crews_.know_files(study.checkpoints());
    if (const auto hours = study.config().stop.hours) {
      crews_.tick_at(start_ + Microseconds(static_cast<std::int64_t>(std::ceil(*hours * 3600e6))));
    }
    std::vector<Input> lost = lost_crews(study);
    first_.assign(std::make_move_iterator(lost.begin()), std::make_move_iterator(lost.end()));
  }

  Result<SimulationResult> run() {
    while (!study_.ended()) {
      std::optional<Input> input = next({});
      if (!input) {
        return failure(fmt::format("the simulation came to a standstill after {}: no crew has anything to do",
                                   format_duration(in_seconds(crews_.now() - start_))));
      }
      RETURN_IF_ERROR(take_batch(*std::move(input)));
    }
    if (!crews_.violations().empty()) {
      return failure("the study broke a rule: " + crews_.violations().front());
    }
    return result();
  }

 private:
  std::optional<Input> next(std::optional<Microseconds> before) {
    if (first_.empty()) {
      return crews_.next(before);
    }
    Input input = std::move(first_.front());
    first_.pop_front();
    return input;
  }

  Status take_batch(Input input) {
    coordinator_.begin(crews_.now());
    std::optional<Input> message(std::move(input));
    while (message) {
      RETURN_IF_ERROR(decide(*message));
      const bool more = coordinator_.takes_more() && !study_.ended() && options_.costs;
      message = more ? next(coordinator_.now()) : std::nullopt;
    }
    coordinator_.commit();
    for (Command& command : std::exchange(commands_, {})) {
      if (std::holds_alternative<DeleteCheckpoint>(command)) {
        coordinator_.delete_checkpoint();
      } else {
        coordinator_.send();
      }
      // At the end at once: nobody waits for an order on its way, and what crews trained until then counts.
      const Microseconds arrives = study_.ended() ? crews_.now() : coordinator_.now() + network();
      crews_.carry_out_at(arrives, std::move(command));
    }
    coordinator_.finish();
    return {};
  }

  Status decide(const Input& input) {
    Reaction reaction = study_.handle(input, coordinator_.now());
    double proposals_us = 0;
    for (const TimedEvent& event : reaction.events) {
      tally_.count(event);
      if (const auto* proposed = std::get_if<TrialProposed>(&event.event); proposed && options_.costs) {
        const CoordinatorCosts& costs = *options_.costs;
        const std::string& sampler = costs.sampler.empty() ? study_.config().sampler.type : costs.sampler;
        proposals_us += costs.proposal_us.value_or(proposal_us(sampler, proposed->trial));
      }
      if (hooks_.observe) {
        hooks_.observe(event);
      }
    }
    coordinator_.decide(static_cast<int>(reaction.events.size()), proposals_us);
    std::ranges::move(reaction.commands, std::back_inserter(commands_));
    if (hooks_.step) {
      ASSIGN_OR_RETURN(std::optional<Input> told, hooks_.step());
      if (told) {
        first_.push_front(*std::move(told));
      }
    }
    return {};
  }

  Microseconds network() const {
    const double one_way_us = options_.costs ? options_.costs->network_us : 0;
    return Microseconds(static_cast<std::int64_t>(one_way_us));
  }

  SimulationResult result() {
    const double makespan = in_seconds(std::max(crews_.now(), coordinator_.now()) - start_);
    SimulationResult result =
        tally_.finish(study_, makespan, makespan * options_.crews * options_.lanes, crews_.seconds_trained());
    result.coordinator_busy_fraction = makespan > 0 ? coordinator_.busy_seconds() / makespan : 0;
    result.longest_answer_seconds = coordinator_.longest_wait_seconds();
    result.messages = coordinator_.messages();
    result.transactions = coordinator_.transactions();
    return result;
  }

  Study& study_;
  const SimulationOptions& options_;
  const SimulationHooks& hooks_;
  SimulatedCrews crews_;
  BusyCoordinator coordinator_;
  const Microseconds start_;
  Tally tally_;
  std::deque<Input> first_;        // told before anything that crews say
  std::vector<Command> commands_;  // of the batch
};

}  // namespace

Result<SimulationResult> simulate(Study& study, const SimulationOptions& options,
                                  const SimulationHooks& hooks) {
  const SystemClock wall_clock;  // for wall_seconds only
  const Microseconds began = wall_clock.monotonic();
  const double heartbeats =
      options.costs ? heartbeat_load(*options.costs, options.crews, options.epoch_seconds) : 0;
  if (heartbeats >= 1) {
    return user_mistake(fmt::format(
        "the signs of life of {} crews, one in {} s each, would keep the coordinator busy {:.1f} times over: "
        "let them be rarer (--heartbeat-seconds)",
        format_count(options.crews), format_number(options.costs->heartbeat_s), heartbeats));
  }
  ASSIGN_OR_RETURN(SimulationResult result, Simulation(study, options, hooks, heartbeats).run());
  result.wall_seconds = in_seconds(wall_clock.monotonic() - began);
  return result;
}

}  // namespace regatta
