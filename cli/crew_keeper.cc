// The restarts back off: 0.2 s, 0.4 s, … up to half a minute, and start over once a crew has lived for a
// while.
#include "cli/crew_keeper.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <charconv>

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
  for (int number = 0; number < options_.crews; ++number) {
    slots_.push_back({.number = number, .incarnation = last_incarnation(options_.folder, number)});
  }
}

std::vector<CrewExit> CrewKeeper::adopt() {
  std::vector<CrewExit> gone;
  adopted_at_ = clock_.monotonic();
  for (const CrewRecord& record : read_crew_records(options_.folder)) {
    const auto name = parse_crew_name(record.crew);
    const CrewLife life = life_of(record);
    if (life == CrewLife::alive && name && name->slot < options_.crews) {
      slots_[static_cast<std::size_t>(name->slot)].crew = record.crew;
      slots_[static_cast<std::size_t>(name->slot)].record = record;
    } else if (life == CrewLife::dead) {
      gone.push_back(
          {.name = record.crew, .preempted = true, .reason = record.crew + " ended with its study"});
      remove_crew_record(options_.folder, record.crew);
    }
  }
  return gone;
}

CrewKeeper::Tended CrewKeeper::tend(const std::vector<std::string>& connected) {
  Tended tended{.exits = launcher_->poll(), .failure = {}};
  const auto heed = [&tended](const Status& status) {
    if (!status.ok() && !tended.failure) {
      tended.failure = status.error();
    }
  };
  const bool others_live = std::ranges::any_of(connected, [&](const std::string& crew) {
    return std::ranges::find(tended.exits, crew, &CrewExit::name) == tended.exits.end();
  });
  for (const CrewExit& exit : tended.exits) {
    remove_crew_record(options_.folder, exit.name);
    for (Slot& slot : slots_) {
      if (slot.crew == exit.name) {
        heed(note_exit(slot, exit, others_live));
      }
    }
  }
  kill_absent(connected);
  kill_unheard(connected);
  poll_adopted(tended.exits);
  for (Slot& slot : slots_) {
    const bool may_start = options_.restarts || slot.incarnation == 0;
    const bool wanted = slot.crew.empty() && may_start && !winding_down_ && !tended.failure;
    if (wanted && clock_.monotonic() >= slot.due) {
      heed(start(slot));
    }
  }
  return tended;
}

Status CrewKeeper::note_exit(Slot& slot, const CrewExit& exit, bool others_live) {
  const Microseconds now = clock_.monotonic();
  const bool quick = now - slot.started < options_.quick;
  slot.crew.clear();
  slot.quick_deaths = quick ? slot.quick_deaths + 1 : 0;
  slot.due = now + back_off(slot.quick_deaths);
  if (!options_.restarts) {
    return any_running() || winding_down_
               ? Status()
               : failure(fmt::format("no crew is left; the last one: {}\nThe state is saved. Go on with:\n  {}",
                                     exit.reason, resume_command(options_.folder)));
  }
  const int most = slot.elsewhere ? options_.max_quick_deaths_elsewhere : options_.max_quick_deaths;
  if (winding_down_ || others_live || slot.quick_deaths < most) {
    return {};
  }
  return failure(fmt::format("crew {} has ended {} times soon after its start; the last time: {}",
                             slot.number, slot.quick_deaths, exit.reason));
}

// Once: a crew that came back and is lost later is the server's to notice. The trials of those that are
// killed go on from their checkpoints.
void CrewKeeper::kill_absent(const std::vector<std::string>& connected) {
  if (rejoin_over_ || clock_.monotonic() - adopted_at_ <= options_.rejoin_limit) {
    return;
  }
  rejoin_over_ = true;
  for (const Slot& slot : slots_) {
    if (slot.record && std::find(connected.begin(), connected.end(), slot.crew) == connected.end()) {
      signal_crew(*slot.record, SIGKILL);
    }
  }
}

// Its end is then seen as any other.
void CrewKeeper::kill_unheard(const std::vector<std::string>& connected) {
  for (Slot& slot : slots_) {
    slot.heard = slot.heard || std::find(connected.begin(), connected.end(), slot.crew) != connected.end();
    const auto process = slot.crew.empty() || slot.record ? std::nullopt : launcher_->process_of(slot.crew);
    if (process && !slot.heard && clock_.monotonic() - slot.started > options_.join_limit) {
      signal_crew(record_of_group(slot.crew, *process), SIGKILL);
    }
  }
}

void CrewKeeper::poll_adopted(std::vector<CrewExit>& exits) {
  for (Slot& slot : slots_) {
    if (slot.record && life_of(*slot.record) != CrewLife::alive) {
      exits.push_back(
          {.name = slot.crew, .preempted = true, .reason = slot.crew + " of the earlier session has ended"});
      remove_crew_record(options_.folder, slot.crew);
      slot.crew.clear();
      slot.record.reset();
    }
  }
}

Status CrewKeeper::start(Slot& slot) {
  ++slot.incarnation;
  const std::string name = fmt::format("crew-{}.{}", slot.number, slot.incarnation);
  const CrewSpec spec{.name = name,
                      .slots = {slot.number},
                      .folder = options_.folder,
                      .log = crew_log(options_.folder, name)};
  RETURN_IF_ERROR(launcher_->start(spec));
  const auto process = launcher_->process_of(name);
  slot.elsewhere = process.has_value();
  if (process) {
    RETURN_IF_ERROR(write_crew_record(options_.folder, record_of_group(name, *process)));
  }
  slot.crew = name;
  slot.heard = false;
  slot.started = clock_.monotonic();
  return {};
}

bool CrewKeeper::any_running() const {
  return std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return !slot.crew.empty(); });
}

std::vector<CrewExit> CrewKeeper::stop_all(Microseconds grace) {
  winding_down_ = true;
  for (const Slot& slot : slots_) {
    if (slot.record) {
      signal_crew(*slot.record, SIGTERM);
    }
  }
  launcher_->stop_all(grace);
  std::vector<CrewExit> ended;
  for (Slot& slot : slots_) {
    if (slot.record) {
      signal_crew(*slot.record, SIGKILL);
    }
    if (!slot.crew.empty()) {
      remove_crew_record(options_.folder, slot.crew);
      ended.push_back(
          {.name = slot.crew, .preempted = true, .reason = slot.crew + " was ended with its study"});
    }
    slot.crew.clear();
    slot.record.reset();
  }
  return ended;
}

}  // namespace regatta
