// Virtual time: a queue of what will happen next.
#include "coordinator/simulated_crews.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/seconds.h"

namespace regatta {
namespace {

constexpr int kProgramEpochs = 10;  // of a program that decides itself when it is done

std::string checkpoint_name(int trial, int epoch) {
  return fmt::format("checkpoints/trial-{}/epoch-{}", trial, epoch);
}

std::string name_of(std::size_t index, int starts) { return fmt::format("crew-{}.{}", index, starts); }

std::size_t index_in(const std::string& name) {
  std::size_t index = 0;
  const std::size_t begin = name.find('-') + 1;
  std::from_chars(name.data() + begin, name.data() + name.size(), index);
  return index;
}

}  // namespace

Microseconds SimulatedCrews::microseconds(double seconds) {
  return Microseconds(static_cast<std::int64_t>(std::llround(seconds * 1e6)));
}

SimulatedCrews::SimulatedCrews(const Experiment& experiment, const SimulationOptions& options,
                               const TransportFaults& faults)
    : experiment_(experiment),
      options_(options),
      faults_(faults),
      failures_(options.seed, "simulated crew failures"),
      durations_(options.seed, "simulated epoch times"),
      transport_(options.seed, "simulated transport"),
      network_(options.costs ? microseconds(options.costs->network_us * 1e-6) : Microseconds{0}),
      now_(options.start),
      crews_(static_cast<std::size_t>(options.crews)) {
  for (std::size_t index = 0; index < crews_.size(); ++index) {
    crews_[index].slots = {static_cast<int>(index)};
    crew_of_slot_.push_back(index);
    schedule({.happening = Happening::start, .crew = index}, {});
  }
  if (faults_.tick_seconds > 0) {
    tick_at(now_ + microseconds(faults_.tick_seconds));
  }
}

void SimulatedCrews::schedule(Item item, Microseconds delay) {
  item.at = now_ + delay;
  item.sequence = ++sequence_;
  item.start = crews_.empty() ? 0 : crews_[item.crew].starts;
  item.coordinator = coordinator_;
  queue_.push_back(std::move(item));
  std::ranges::push_heap(queue_, std::greater<>());
}

void SimulatedCrews::tick_at(Microseconds time) {
  schedule({.happening = Happening::tick}, std::max(time - now_, Microseconds{0}));
}

std::optional<Input> SimulatedCrews::next(std::optional<Microseconds> before) {
  const auto is_late = [&](Microseconds time) { return before && time >= *before; };
  if (!arrived_.empty() && is_late(now_)) {
    return std::nullopt;
  }
  while (arrived_.empty()) {
    if (queue_.empty() || is_late(queue_.front().at)) {
      return std::nullopt;
    }
    std::ranges::pop_heap(queue_, std::greater<>());
    const Item item = std::move(queue_.back());
    queue_.pop_back();
    now_ = item.at;
    happen(item);
  }
  Input input = std::move(arrived_.front());
  arrived_.pop_front();
  return input;
}

void SimulatedCrews::happen(const Item& item) {
  SimulatedCrew& crew = crews_[item.crew];
  const bool same_crew = crew.alive && crew.starts == item.start;
  switch (item.happening) {
    case Happening::start:
      start(item.crew);
      break;
    case Happening::die:
      if (same_crew) {
        die(item.crew);
      }
      break;
    case Happening::epoch_done:
      if (same_crew && crew.attempts.contains(item.attempt)) {
        finish_epoch(item.crew, crew.attempts.at(item.attempt));
      }
      break;
    case Happening::deliver:
      if (same_crew && item.coordinator == coordinator_) {
        arrived_.push_back(std::get<Input>(*item.letter));
      }
      break;
    case Happening::order:
      if (item.coordinator == coordinator_) {
        carry_out(std::get<Command>(*item.letter));
      }
      break;
    case Happening::evaluated:
      if (same_crew) {
        const int trial = static_cast<int>(item.attempt);
        send(item.crew, EvaluationDone{.crew = crew.name, .trial = trial, .model = "best/model"});
      }
      break;
    case Happening::tick:
      tick();
      break;
  }
}

void SimulatedCrews::start(std::size_t index) {
  SimulatedCrew& crew = crews_[index];
  if (crew.alive || !is_wanted(crew)) {
    return;
  }
  crew.alive = true;
  crew.dismissed = false;
  ++crew.starts;
  crew.name = name_of(index, crew.starts);
  arrived_.push_back(CrewJoined{.crew = crew.name,
                                .lanes = options_.lanes,
                                .slots = options_.elastic ? crew.slots : std::vector<int>()});
  if (crew.slots.size() > 1) {
    schedule({.happening = Happening::deliver,
              .crew = index,
              .letter = std::make_unique<const Letter>(LaneFree{.crew = crew.name, .lanes = options_.lanes})},
             microseconds(options_.reshape_seconds / 2));
  }
  if (options_.mean_seconds_to_failure > 0) {
    const double uniform = failures_.substream(index).uniform(static_cast<std::uint64_t>(crew.starts));
    const double lifetime = -options_.mean_seconds_to_failure * std::log1p(-uniform);
    schedule({.happening = Happening::die, .crew = index}, microseconds(lifetime));
  }
}

bool SimulatedCrews::is_wanted(const SimulatedCrew& crew) const {
  return std::ranges::all_of(
      crew.slots, [&](int slot) { return crew_of_slot_[static_cast<std::size_t>(slot)] == index_of(crew); });
}

void SimulatedCrews::die(std::size_t index) {
  SimulatedCrew& crew = crews_[index];
  leave_attempts(crew);
  crew.alive = false;
  arrived_.push_back(CrewLost{.crew = crew.name, .reason = "killed by the simulation"});
  give_slots_back(index);
}

// To crews of one slot each; they may be there still.
void SimulatedCrews::give_slots_back(std::size_t index) {
  for (const int number : crews_[index].slots) {
    const auto slot = static_cast<std::size_t>(number);
    if (crew_of_slot_[slot] == index) {
      crew_of_slot_[slot] = slot;
      schedule({.happening = Happening::start, .crew = slot}, microseconds(options_.restart_seconds));
    }
  }
}

std::size_t SimulatedCrews::index_of_slots(const std::vector<int>& slots) {
  if (slots.size() == 1) {
    return static_cast<std::size_t>(slots.front());
  }
  const auto known = std::ranges::find(crews_, slots, &SimulatedCrew::slots);
  if (known != crews_.end()) {
    return index_of(*known);
  }
  crews_.emplace_back().slots = slots;
  return crews_.size() - 1;
}

void SimulatedCrews::tick() {
  for (const SimulatedCrew& crew : crews_) {
    if (crew.alive) {
      arrived_.push_back(CrewHeard{.crew = crew.name});
    }
  }
  arrived_.push_back(Tick{});
  if (faults_.tick_seconds > 0) {
    tick_at(now_ + microseconds(faults_.tick_seconds));
  }
}

// What is left of the epoch that begins. The lanes of a crew share what it runs on.
Microseconds SimulatedCrews::epoch_time(const SimulatedCrew& crew, const Attempt& attempt) const {
  const auto known = options_.curves == nullptr
                         ? std::nullopt
                         : options_.curves->epoch_seconds(attempt.trial, attempt.point);
  const double spread =
      std::exp(options_.epoch_spread * durations_.normal(static_cast<std::uint64_t>(attempt.trial)));
  double time = known.value_or(options_.epoch_seconds * spread);
  if (const std::size_t others = crew.attempts.size() - 1; others > 0) {
    time *= 1 + options_.lane_cost * static_cast<double>(others);
  }
  return microseconds(time * (1 - attempt.part) /
                      speed_of(static_cast<int>(crew.slots.size()), options_.elastic_efficiency));
}

// nullopt: there is no such epoch.
std::optional<Metrics> SimulatedCrews::metrics_of(const Attempt& attempt) const {
  if (options_.curves != nullptr) {
    return options_.curves->metrics(attempt.trial, attempt.point, attempt.epoch);
  }
  Metrics metrics;
  for (std::size_t i = 0; i < experiment_.objectives.size(); ++i) {
    metrics.emplace_back(experiment_.objectives[i].metric,
                         simulated_value(experiment_, attempt.point, attempt.epoch, options_.seed + i));
  }
  return metrics;
}

bool SimulatedCrews::ends_by_itself(const Attempt& attempt) const {
  if (options_.curves != nullptr) {
    return !options_.curves->metrics(attempt.trial, attempt.point, attempt.epoch + 1);
  }
  return attempt.until_epoch == kUnlimitedEpochs && attempt.epoch >= kProgramEpochs;
}

void SimulatedCrews::begin_epoch(std::size_t index, Attempt& attempt, Microseconds more) {
  attempt.epoch_began = now_ + more;
  const Microseconds time = epoch_time(crews_[index], attempt);
  schedule({.happening = Happening::epoch_done, .crew = index, .attempt = attempt.id}, more + time);
}

void SimulatedCrews::finish_epoch(std::size_t index, Attempt& attempt) {
  SimulatedCrew& crew = crews_[index];
  const double spent = in_seconds(now_ - *attempt.epoch_began);
  seconds_trained_ += spent * static_cast<double>(crew.slots.size());
  attempt.epoch_began.reset();
  attempt.part = 0;
  attempt.part_seconds = 0;
  ++attempt.epoch;
  const AttemptFinished finished{.crew = crew.name, .attempt = attempt.id, .outcome = Outcome::complete};
  const auto metrics = metrics_of(attempt);
  if (!metrics) {  // paused at its last epoch
    send(index, finished);
    crew.attempts.erase(finished.attempt);
    return;
  }
  ReportReceived report{.crew = crew.name,
                        .attempt = attempt.id,
                        .epoch = attempt.epoch,
                        .metrics = *metrics,
                        .checkpoint = checkpoint_name(attempt.trial, attempt.epoch),
                        .seconds = spent};
  files_.insert(report.checkpoint);
  attempt.unanswered.push_back(report);
  send_report(index, report);
  if (ends_by_itself(attempt)) {
    send(index, finished);
    crew.attempts.erase(finished.attempt);
  } else if (attempt.epoch < attempt.until_epoch) {
    begin_epoch(index, attempt, {});
  }
}

// Within an epoch. Empty: the checkpoint of the epoch before is the newest.
std::string SimulatedCrews::save_part(const SimulatedCrew& crew, const Attempt& attempt) {
  if (!attempt.epoch_began || *attempt.epoch_began >= now_) {
    return {};
  }
  const double spent = in_seconds(now_ - *attempt.epoch_began);
  const double left = in_seconds(epoch_time(crew, attempt));
  const std::string name = fmt::format("{}-by-{}", checkpoint_name(attempt.trial, attempt.epoch), attempt.id);
  parts_[name] = {attempt.part + (1 - attempt.part) * std::min(spent / left, 1.0),
                  attempt.part_seconds + spent * static_cast<double>(crew.slots.size())};
  files_.insert(name);
  return name;
}

double SimulatedCrews::seconds_of_part(const std::string& checkpoint) const {
  const auto part = parts_.find(checkpoint);
  return part == parts_.end() ? 0 : part->second.second;
}

void SimulatedCrews::leave_attempt(SimulatedCrew& crew, AttemptId id) {
  if (const Attempt& attempt = crew.attempts.at(id); attempt.epoch_began) {
    seconds_trained_ +=
        std::max(0.0, in_seconds(now_ - *attempt.epoch_began)) * static_cast<double>(crew.slots.size());
  }
  crew.attempts.erase(id);
}

void SimulatedCrews::leave_attempts(SimulatedCrew& crew) {
  while (!crew.attempts.empty()) {
    leave_attempt(crew, crew.attempts.begin()->first);
  }
}

void SimulatedCrews::send_report(std::size_t index, const ReportReceived& report) {
  send(index, report);
  if (faults_.duplicate_probability > 0 &&
      transport_.uniform(++transport_draws_) < faults_.duplicate_probability) {
    send(index, report);
  }
}

void SimulatedCrews::send(std::size_t index, Input input) {
  Microseconds delay = network_;
  if (faults_.max_delay_seconds > 0) {
    delay += microseconds(faults_.max_delay_seconds * transport_.uniform(++transport_draws_));
  }
  SimulatedCrew& crew = crews_[index];
  crew.last_delivery = std::max(crew.last_delivery, now_ + delay);
  schedule({.happening = Happening::deliver,
            .crew = index,
            .letter = std::make_unique<const Letter>(std::move(input))},
           crew.last_delivery - now_);
}

void SimulatedCrews::reconnect() {
  ++coordinator_;
  arrived_.clear();
  for (std::size_t index = 0; index < crews_.size(); ++index) {
    SimulatedCrew& crew = crews_[index];
    if (!crew.alive) {
      if (std::exchange(crew.dismissed, false)) {
        schedule({.happening = Happening::start, .crew = index}, {});
      }
      continue;
    }
    CrewJoined joined{.crew = crew.name, .lanes = options_.lanes};
    if (options_.elastic) {
      joined.slots = crew.slots;
    }
    for (const auto& [id, attempt] : crew.attempts) {
      joined.attempts.push_back(id);
    }
    send(index, joined);
    for (const auto& [id, attempt] : crew.attempts) {
      for (const ReportReceived& report : attempt.unanswered) {
        send(index, report);
      }
    }
  }
}

void SimulatedCrews::carry_out_at(Microseconds time, Command command) {
  if (time <= now_) {
    carry_out(command);
  } else {
    schedule({.happening = Happening::order, .letter = std::make_unique<const Letter>(std::move(command))},
             time - now_);
  }
}

// nullptr: it has died.
SimulatedCrews::SimulatedCrew* SimulatedCrews::find(const std::string& name) {
  SimulatedCrew& crew = crews_.at(index_in(name));
  return crew.alive && crew.name == name ? &crew : nullptr;
}

std::vector<int> SimulatedCrews::trials_of(const std::string& crew) {
  std::vector<int> trials;
  if (const SimulatedCrew* found = find(crew)) {
    for (const auto& [id, attempt] : found->attempts) {
      trials.push_back(attempt.trial);
    }
  }
  return trials;
}

int SimulatedCrews::slots_of(const std::string& crew) const {
  return static_cast<int>(crews_.at(index_in(crew)).slots.size());
}

// nullptr, too: it does not run the attempt any more.
SimulatedCrews::SimulatedCrew* SimulatedCrews::find_running(const std::string& name, AttemptId attempt) {
  SimulatedCrew* crew = find(name);
  return crew != nullptr && crew->attempts.contains(attempt) ? crew : nullptr;
}

}  // namespace regatta
