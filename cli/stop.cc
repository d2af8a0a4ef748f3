// regatta stop RUN: asks the study's coordinator, on whichever host, to save and end.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/host.h"
#include "base/seconds.h"
#include "base/shared_file.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/owner_watch.h"
#include "cli/stop_request.h"
#include "cli/study_folder.h"
#include "cli/submitted_jobs.h"
#include "cli/summary.h"
#include "cluster/slurm_jobs.h"
#include "coordinator/study_lock.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Microseconds kLook = milliseconds(250);
constexpr Microseconds kTellInterval = seconds(5);
constexpr int kMostAsked = 5;  // coordinators, one after the other

struct StopCommand {
  std::string run;
  bool no_wait = false;
  bool now = false;
};

std::string describe(const LockOwner& owner) {
  if (owner.host.empty()) {
    return "a coordinator that has made its lock, and written nothing into it,";
  }
  return fmt::format("its coordinator, process {} on host {},", owner.process, owner.host);
}

std::string this_user() {
  const char* const user = std::getenv("USER");
  return fmt::format("{} on host {}", user == nullptr ? fmt::format("user {}", ::getuid()) : user,
                     host_name());
}

// What became of a study whose coordinator has gone.
Result<std::string> describe_rest(const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(const StudyView view, view_study(folder.string()));
  const auto& ended = view.study->ended();
  if (ended && ended->reason != StudyEnded::Reason::interrupted) {
    return "the study has ended: " + describe_end(*ended);
  }
  return fmt::format("{}; go on with:\n  {}",
                     ended ? "its state is saved" : "it is as its last commit left it",
                     resume_command(folder));
}

// The job that will go on with the study, which no coordinator can be asked to end.
std::string describe_job(const std::filesystem::path& folder) {
  const SubmittedJobs submitted = read_submitted_jobs(folder);
  const auto job = submitted.jobs.empty() ? Result<std::optional<SlurmJob>>(std::optional<SlurmJob>())
                                          : find_job(submitted.jobs.back());
  if (!job.ok() || !*job || !((*job)->is_waiting() || (*job)->is_running())) {
    return "";
  }
  return fmt::format(", but job {} is {}: end it with `scancel {}`", (*job)->id, (*job)->state, (*job)->id);
}

Result<int> nothing_to_stop(const std::filesystem::path& folder, const std::string& why) {
  ASSIGN_OR_RETURN(const std::string rest, describe_rest(folder));
  return user_mistake(fmt::format("there is nothing to stop: {}; {}", why, rest));
}

// How often the study has been ended in order so far.
Result<std::size_t> count_ends(const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(const StoredStudy stored, Store::read(folder));
  return static_cast<std::size_t>(std::ranges::count_if(stored.events, [](const TimedEvent& event) {
    return std::holds_alternative<StudyEnded>(event.event);
  }));
}

Status ask(const std::filesystem::path& folder, const LockOwner& owner, bool at_once) {
  RETURN_IF_ERROR(
      write_stop_request(folder, {.coordinator = owner.identity, .at_once = at_once, .by = this_user()}));
  print_to(stderr, "asked process {} on host {} to {}\n", owner.process, owner.host,
           at_once ? "end at once" : "save and end");
  return {};
}

// Until the lock is another's or nobody's, however long that takes: how long its crews may save is up to the
// coordinator, and to the job that it runs in. One on this host is seen to die; one on another is taken for
// dead when its lock is not renewed. Returns whose the lock is then; nullopt: nobody's.
Result<std::optional<LockOwner>> wait_for_end(const std::filesystem::path& folder, const LockOwner& asked) {
  const SystemClock clock;
  const Microseconds begin = clock.monotonic();
  Microseconds told = begin;
  OwnerWatch watch(asked, begin);
  while (true) {
    const auto owner = find_lock_owner(folder);
    const Microseconds now = clock.monotonic();
    const OwnerFate fate = watch.look(owner, now);
    if (fate == OwnerFate::gone || fate == OwnerFate::replaced) {
      return owner;
    }
    if (fate != OwnerFate::holds) {
      return failure(fmt::format(
          "{} {}; go on with: {}", describe(asked),
          fate == OwnerFate::silent ? "gives no sign of life any more" : "has died before it could save",
          resume_command(folder)));
    }
    if (now - told >= kTellInterval) {
      told = now;
      print_to(stderr, "waiting for process {} on host {}: {} so far\n", asked.process, asked.host,
               format_duration(in_seconds(now - begin)));
    }
    pause_for(kLook);
  }
}

// A coordinator that has taken the study over from one that passed for dead never heard of the request, so it
// is asked in turn. One that somebody has started after the other had ended is not this request's business.
Result<int> stop_all(const std::filesystem::path& folder, LockOwner owner, bool at_once) {
  const auto ends_before = count_ends(folder);  // a study that cannot be read can be stopped all the same
  for (int asked = 0; asked < kMostAsked; ++asked) {
    RETURN_IF_ERROR(ask(folder, owner, at_once));
    ASSIGN_OR_RETURN(const auto next, wait_for_end(folder, owner));
    if (!next) {
      ASSIGN_OR_RETURN(const std::string rest, describe_rest(folder));
      print_out("{} has been stopped: {}\n", folder.string(), rest);
      return kExitDone;
    }
    const auto ends = count_ends(folder);
    if (ends.ok() && ends_before.ok() && *ends > *ends_before) {
      print_out(
          "{} was stopped, but process {} on host {} has gone on with it since; end that by "
          "'regatta stop {}'\n",
          folder.string(), next->process, next->host, folder.string());
      return kExitDone;
    }
    print_to(stderr, "process {} on host {} has taken the study over from process {} on host {}\n",
             next->process, next->host, owner.process, owner.host);
    owner = *next;
  }
  return failure(fmt::format("{} goes from one coordinator to the next; the last one: process {} on host {}",
                             folder.string(), owner.process, owner.host));
}

Result<int> stop(const StopCommand& command) {
  ASSIGN_OR_RETURN(const std::filesystem::path folder, find_study(command.run));
  const auto owner = find_lock_owner(folder);
  if (!owner) {
    return nothing_to_stop(folder, "no coordinator of " + folder.string() + " runs" + describe_job(folder));
  }
  if (owner->life == LockOwner::Life::dead) {
    return nothing_to_stop(folder, describe(*owner) + " has died" + describe_job(folder));
  }
  if (command.no_wait) {
    RETURN_IF_ERROR(ask(folder, *owner, command.now));
    return kExitDone;
  }
  return stop_all(folder, *owner, command.now);
}

}  // namespace

void add_stop_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("stop", "end a running study with its state saved, from any host that sees it");
  const auto options = std::make_shared<StopCommand>();
  command->add_option("RUN", options->run, "the study's folder, or its name under runs/")->required();
  command->add_flag("--no-wait", options->no_wait, "leave the request and return");
  command->add_flag("--now", options->now, "end at once: what was not yet reported is trained again later");
  command->callback([options, &action] { action = [options] { return stop(*options); }; });
}

}  // namespace regatta
