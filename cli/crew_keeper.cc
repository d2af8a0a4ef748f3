// The restarts back off: 0.2 s, 0.4 s, … up to half a minute, and start over once a crew has lived for a
// while.
#include "cli/crew_keeper.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>

#include "base/log.h"
#include "cli/study_folder.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// "crew-3.14" is incarnation 14 of slot 3.
struct CrewName {
  int slot = 0;
  int incarnation = 0;
};

std::optional<CrewName> parse_crew_name(std::string_view name) {
  constexpr std::string_view prefix = "crew-";
  if (!name.starts_with(prefix)) {
    return std::nullopt;
  }
  CrewName parsed;
  const char* end = name.data() + name.size();
  const auto [dot, slot_error] = std::from_chars(name.data() + prefix.size(), end, parsed.slot);
  if (slot_error != std::errc() || dot == end || *dot != '.') {
    return std::nullopt;
  }
  const auto [rest, error] = std::from_chars(dot + 1, end, parsed.incarnation);
  return error == std::errc() && rest == end ? std::optional(parsed) : std::nullopt;
}

// The highest incarnation of a slot that has left a log; names are never used twice in a study.
int last_incarnation(const std::filesystem::path& study, int slot) {
  int last = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(logs_folder(study), ignored)) {
    const auto name = parse_crew_name(entry.path().stem().string());
    if (name && name->slot == slot) {
      last = std::max(last, name->incarnation);
    }
  }
  return last;
}

Microseconds back_off(int quick_deaths) {
  const Microseconds delay = milliseconds(200) * (1 << std::min(quick_deaths, 8));
  return std::min<Microseconds>(delay, seconds(30));
}

}  // namespace

CrewKeeper::CrewKeeper(std::unique_ptr<Launcher> launcher, const Clock& clock, CrewKeeperOptions options)
    : launcher_(std::move(launcher)), clock_(clock), options_(std::move(options)) {
  for (int slot = 0; slot < options_.crews; ++slot) {
    incarnations_.push_back(last_incarnation(options_.folder, slot));
    places_.push_back({.slots = {slot}});
  }
}

// Of two that have the same slot the larger one keeps it: it was to take over, or is to make room, and either
// way the other one's place comes back when it ends.
std::vector<CrewExit> CrewKeeper::adopt() {
  std::vector<CrewExit> gone;
  adopted_at_ = clock_.monotonic();
  std::vector<CrewRecord> records = read_crew_records(options_.folder);
  std::ranges::stable_sort(records, {}, [](const CrewRecord& record) { return record.slots.size(); });
  for (const CrewRecord& record : records) {
    const auto name = parse_crew_name(record.crew);
    const CrewLife life = life_of(record);
    if (life == CrewLife::alive && name && name->slot < options_.crews) {
      const std::vector<int> slots = record.slots.empty() ? std::vector{name->slot} : record.slots;
      if (slots.back() >= options_.crews) {
        continue;
      }
      clear(slots);
      places_.push_back({.slots = slots, .crew = record.crew, .record = record});
    } else if (life == CrewLife::dead) {
      gone.push_back(
          {.name = record.crew, .preempted = true, .reason = record.crew + " ended with its study"});
      remove_crew_record(options_.folder, record.crew);
    }
  }
  return gone;
}

CrewKeeper::Tended CrewKeeper::tend(const std::vector<std::string>& connected) {
  Tended tended{.exits = launcher_->poll(), .replaced = {}, .divided = {}, .failure = {}};
  kill_absent(connected);
  poll_adopted(tended);
  note_exits(tended, connected);
  kill_unheard(connected);
  kill_hung();
  for (std::size_t i = 0; i < places_.size(); ++i) {  // a start that fails may add places
    const bool may_start =
        options_.restarts || incarnations_[static_cast<std::size_t>(places_[i].slots.front())] == 0;
    const bool wanted = places_[i].crew.empty() && may_start && !winding_down_ && !tended.failure;
    if (wanted && clock_.monotonic() >= places_[i].due) {
      if (const Status started = start(places_[i]); !started.ok()) {
        tended.failure = started.error();
      }
    }
  }
  return tended;
}

void CrewKeeper::note_exits(Tended& tended, const std::vector<std::string>& connected) {
  const bool others_live = std::ranges::any_of(connected, [&](const std::string& crew) {
    return std::ranges::find(tended.exits, crew, &CrewExit::name) == tended.exits.end();
  });
  for (const CrewExit& exit : tended.exits) {
    remove_crew_record(options_.folder, exit.name);
    const auto runs = [&](const Place& place) { return place.crew == exit.name; };
    if (std::erase_if(leaving_, runs) > 0) {
      tended.replaced.push_back(exit.name);
      continue;
    }
    const auto place = std::ranges::find_if(places_, runs);
    if (place == places_.end()) {
      continue;
    }
    place->record.reset();
    if (place->slots.size() > 1) {
      tended.divided.push_back(exit.name);
      const std::vector<int> slots = place->slots;
      places_.erase(place);
      give_back(slots);
    } else if (const Status noted = note_exit(*place, exit, others_live); !noted.ok() && !tended.failure) {
      tended.failure = noted.error();
    }
  }
}

Status CrewKeeper::note_exit(Place& place, const CrewExit& exit, bool others_live) {
  const Microseconds now = clock_.monotonic();
  // One on other hosts that was never heard of may have been given up late.
  const bool never_there = place.elsewhere && !place.heard;
  const bool quick = !exit.preempted && (never_there || now - place.started < options_.quick);
  place.crew.clear();
  place.dismissed.reset();
  place.quick_deaths = quick ? place.quick_deaths + 1 : 0;
  place.due = now + back_off(place.quick_deaths);
  if (!options_.restarts) {
    return any_running() || winding_down_
               ? Status()
               : failure(
                     fmt::format("no crew is left; the last one: {}\nThe state is saved. Go on with:\n  {}",
                                 exit.reason, resume_command(options_.folder)));
  }
  const int most = place.elsewhere ? options_.max_quick_deaths_elsewhere : options_.max_quick_deaths;
  if (winding_down_ || others_live || place.quick_deaths < most) {
    return {};
  }
  return failure(fmt::format(
      "crew {} has ended {} times soon after its start; the last time: {}\nThe state is saved. Once "
      "the reason is gone, go on with:\n  {}",
      place.slots.front(), place.quick_deaths, exit.reason, resume_command(options_.folder)));
}

void CrewKeeper::reshape(const std::vector<std::vector<int>>& crews) {
  if (!options_.restarts) {
    return;
  }
  for (const std::vector<int>& slots : crews) {
    const bool is_so = std::ranges::find(places_, slots, &Place::slots) != places_.end();
    if (!is_so) {
      settle(slots);
    }
  }
}

// One new place, the last one, has these slots.
void CrewKeeper::settle(const std::vector<int>& slots) {
  clear(slots);
  places_.push_back({.slots = slots});
  const auto back = std::ranges::find(leaving_, slots, &Place::slots);
  if (back != leaving_.end()) {
    places_.back() = std::move(*back);
    leaving_.erase(back);
  }
}

// No place has any of these slots; what else such places had goes back to crews of its own.
void CrewKeeper::clear(const std::vector<int>& slots) {
  std::vector<int> rest;
  const auto is_cleared = [&](int slot) { return std::ranges::find(slots, slot) != slots.end(); };
  std::erase_if(places_, [&](Place& place) {
    if (std::ranges::none_of(place.slots, is_cleared)) {
      return false;
    }
    std::ranges::copy_if(place.slots, std::back_inserter(rest), std::not_fn(is_cleared));
    if (!place.crew.empty()) {
      leaving_.push_back(std::move(place));
    }
    return true;
  });
  give_back(std::move(rest));
}

// To those that have them still, and else to crews of one slot each.
void CrewKeeper::give_back(std::vector<int> slots) {
  const auto is_free = [&](int slot) { return std::ranges::find(slots, slot) != slots.end(); };
  std::erase_if(leaving_, [&](Place& place) {
    if (!std::ranges::all_of(place.slots, is_free)) {
      return false;
    }
    std::erase_if(slots, [&](int slot) { return std::ranges::find(place.slots, slot) != place.slots.end(); });
    places_.push_back(std::move(place));
    return true;
  });
  for (const int slot : slots) {
    places_.push_back({.slots = {slot}});
  }
}

std::vector<int> CrewKeeper::slots_of(const std::string& crew) const {
  for (const auto* places : {&places_, &leaving_}) {
    if (const auto place = std::ranges::find(*places, crew, &Place::crew); place != places->end()) {
      return place->slots;
    }
  }
  return {};
}

// Once: a crew that came back and is lost later is the server's to notice. The trials of those that are
// killed go on from their checkpoints.
void CrewKeeper::kill_absent(const std::vector<std::string>& connected) {
  if (rejoin_over_ || clock_.monotonic() - adopted_at_ <= options_.rejoin_limit) {
    return;
  }
  rejoin_over_ = true;
  for (const auto* places : {&places_, &leaving_}) {
    for (const Place& place : *places) {
      if (place.record && std::find(connected.begin(), connected.end(), place.crew) == connected.end()) {
        signal_crew(*place.record, SIGKILL);
      }
    }
  }
}

// Its end is then seen as any other.
void CrewKeeper::kill_unheard(const std::vector<std::string>& connected) {
  for (auto* places : {&places_, &leaving_}) {
    for (Place& place : *places) {
      place.heard = place.heard || std::ranges::find(connected, place.crew) != connected.end();
      const bool waits = !place.crew.empty() && !place.record && !place.heard &&
                         clock_.monotonic() - place.started > options_.join_limit;
      if (const auto process = waits ? launcher_->process_of(place.crew) : std::nullopt) {
        signal_crew(record_of_group(place.crew, *process), SIGKILL);
      }
    }
  }
}

void CrewKeeper::expect_end(const std::string& crew) {
  for (auto* places : {&places_, &leaving_}) {
    const auto place = std::ranges::find(*places, crew, &Place::crew);
    if (place != places->end() && !place->dismissed) {
      place->dismissed = clock_.monotonic();
    }
  }
}

// One that was heard has a record, whoever wrote it. While the study winds down, stop_all() ends what is left.
void CrewKeeper::kill_hung() {
  const Microseconds now = clock_.monotonic();
  for (auto* places : {&places_, &leaving_}) {
    for (Place& place : *places) {
      if (winding_down_ || !place.dismissed || now - *place.dismissed <= options_.end_limit) {
        continue;
      }
      place.dismissed = now;  // should it outlive even that
      for (const CrewRecord& record : read_crew_records(options_.folder)) {
        if (record.crew == place.crew) {
          signal_crew(record, SIGKILL);
        }
      }
    }
  }
}

void CrewKeeper::poll_adopted(Tended& tended) {
  for (const auto* places : {&places_, &leaving_}) {
    for (const Place& place : *places) {
      if (place.record && life_of(*place.record) != CrewLife::alive) {
        tended.exits.push_back({.name = place.crew,
                                .preempted = true,
                                .reason = place.crew + " of the earlier session has ended"});
      }
    }
  }
}

// A crew of several slots that cannot be started is done without.
Status CrewKeeper::start(Place& place) {
  const int first = place.slots.front();
  const std::string name = fmt::format("crew-{}.{}", first, ++incarnations_[static_cast<std::size_t>(first)]);
  const CrewSpec spec{
      .name = name, .slots = place.slots, .folder = options_.folder, .log = crew_log(options_.folder, name)};
  if (const Status started = launcher_->start(spec); !started.ok()) {
    if (place.slots.size() == 1) {
      return started;
    }
    spdlog::warn("{} was not started: {}", name, started.error().message);
    const std::vector<int> slots = place.slots;
    clear(slots);
    give_back(slots);
    return {};
  }
  const auto process = launcher_->process_of(name);
  place.elsewhere = process.has_value();
  if (process) {
    CrewRecord record = record_of_group(name, *process);
    record.slots = place.slots;
    RETURN_IF_ERROR(write_crew_record(options_.folder, record));
  }
  place.heard = false;
  place.crew = name;
  place.started = clock_.monotonic();
  return {};
}

bool CrewKeeper::any_running() const {
  return !leaving_.empty() ||
         std::any_of(places_.begin(), places_.end(), [](const Place& place) { return !place.crew.empty(); });
}

std::vector<CrewExit> CrewKeeper::stop_all(Microseconds grace) {
  winding_down_ = true;
  const auto signal_adopted = [this](int signal) {
    for (const auto* places : {&places_, &leaving_}) {
      for (const Place& place : *places) {
        if (place.record) {
          signal_crew(*place.record, signal);
        }
      }
    }
  };
  signal_adopted(SIGTERM);
  launcher_->stop_all(grace);
  signal_adopted(SIGKILL);
  std::vector<CrewExit> ended;
  for (auto* places : {&places_, &leaving_}) {
    for (Place& place : *places) {
      if (!place.crew.empty()) {
        ended.push_back(
            {.name = place.crew, .preempted = true, .reason = place.crew + " was ended with its study"});
      }
      place.crew.clear();
      place.record.reset();
    }
  }
  leaving_.clear();
  return ended;
}

void CrewKeeper::forget(const std::vector<CrewExit>& ended) {
  for (const CrewExit& exit : ended) {
    remove_crew_record(options_.folder, exit.name);
  }
}

}  // namespace regatta
