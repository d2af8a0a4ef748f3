// regatta status RUN: where a study stands, from its store alone.
#include <fmt/format.h>

#include <set>

#include "base/seconds.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/crew_record.h"
#include "cli/device_text.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/study_folder.h"
#include "cli/submitted_jobs.h"
#include "cli/summary.h"
#include "cli/trial_text.h"
#include "cluster/crew_processes.h"
#include "cluster/slurm_jobs.h"
#include "coordinator/study_lock.h"
#include "search/pareto.h"

namespace regatta {
namespace {

std::string describe_state(const StudyView& view) {
  if (view.study->ended()) {
    return describe_end(*view.study->ended());
  }
  const auto owner = find_lock_owner(view.folder);
  if (!owner || owner->life == LockOwner::Life::dead) {
    return fmt::format("not ended, and no coordinator runs: go on with `{}`", resume_command(view.folder));
  }
  const char* const state = owner->life == LockOwner::Life::alive ? "running" : "not ended";
  return fmt::format("{}; its coordinator is process {} on host {}", state, owner->process, owner->host);
}

// The crews that are there, each with its host and the trials in its lanes; those that only the events know,
// because they have left no record, without a host.
std::vector<std::string> describe_crews(const StudyView& view) {
  std::map<AttemptId, AttemptStarted> open;
  std::map<std::string, CardLoad> loads;  // by crew, in its newest report
  for (const TimedEvent& event : view.events) {
    if (const auto* started = std::get_if<AttemptStarted>(&event.event)) {
      open[started->attempt] = *started;
    } else if (const auto* reported = std::get_if<Reported>(&event.event)) {
      if (const auto attempt = open.find(reported->attempt); attempt != open.end()) {
        loads[attempt->second.crew] = reported->card;
      }
    } else if (const auto* ended = std::get_if<AttemptEnded>(&event.event)) {
      open.erase(ended->attempt);
    }
  }
  std::map<std::string, std::vector<std::string>> lanes;  // by crew
  std::map<std::string, std::string> hosts;
  for (const CrewRecord& record : read_crew_records(view.folder)) {
    if (life_of(record) != CrewLife::dead) {
      hosts[record.crew] = record.host;
      lanes[record.crew];
    }
  }
  for (const auto& [id, attempt] : open) {
    lanes[attempt.crew].push_back(fmt::format("trial {}, attempt {}", attempt.trial, id));
  }
  std::vector<std::string> lines;
  for (const auto& [crew, attempts] : lanes) {
    const auto host = hosts.find(crew);
    lines.push_back(fmt::format("{}{} ({}){}", crew, host == hosts.end() ? "" : " on host " + host->second,
                                attempts.empty() ? "idle" : fmt::format("{}", fmt::join(attempts, "; ")),
                                describe(loads[crew])));
  }
  return lines;
}

// The study's newest job, as Slurm tells of it; empty: never submitted, or no client of Slurm is here.
std::string describe_job(const std::filesystem::path& folder) {
  const SubmittedJobs submitted = read_submitted_jobs(folder);
  if (submitted.jobs.empty() || !in_path("scontrol")) {
    return "";
  }
  const std::string& id = submitted.jobs.back();
  const auto job = find_job(id);
  if (!job.ok()) {
    return fmt::format("{}, of which Slurm does not tell: {}", id, job.error().message);
  }
  if (!*job) {
    return id + ", which is over";
  }
  std::string text = fmt::format("{}, {}", id, (*job)->state);
  if ((*job)->is_waiting()) {
    text += (*job)->reason.empty() ? "" : fmt::format(" ({})", (*job)->reason);
    return text +
           ((*job)->start_time.empty() ? "" : fmt::format(", expected to start {}", (*job)->start_time));
  }
  text += (*job)->nodes.empty() ? "" : fmt::format(" on {}", (*job)->nodes);
  const auto left = seconds_left(**job);
  return left ? fmt::format("{}, {} left", text, format_duration(static_cast<double>(*left))) : text;
}

Result<int> status(const std::string& run) {
  ASSIGN_OR_RETURN(const StudyView view, view_study(run));
  const Study& study = *view.study;
  const auto limit = study.trial_limit();
  print_out("study    {}\n", view.folder.string());
  print_out("state    {}\n", describe_state(view));
  if (const std::string job = describe_job(view.folder); !job.empty()) {
    print_out("job      {}\n", job);
  }
  print_out("trials   {}{}: {}\n", study.trials().size(), limit ? fmt::format(" of {}", *limit) : "",
            describe(count_trials(study)));
  if (!view.events.empty()) {
    const double elapsed = in_seconds(study.elapsed(view.events.back().at));
    print_out("worked   {}\n", format_duration(elapsed));
  }
  if (!study.ended()) {
    for (const std::string& line : describe_crews(view)) {
      print_out("crew     {}\n", line);
    }
  }
  if (study.experiment().objectives.size() > 1) {
    print_out("front    {} trials; regatta best lists them\n", pareto_front(study.trials()).size());
  } else if (const auto best = study.best_trial()) {
    print_out("best     trial {}, {}  {}\n", *best, format_metrics(best_metrics(study, *best)),
              describe_point(study, *best));
  }
  return kExitDone;
}

}  // namespace

void add_status_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("status", "where a study stands; it may be running");
  const auto run = std::make_shared<std::string>();
  command->add_option("RUN", *run, "the study's folder, or its name under runs/")->required();
  command->callback([run, &action] { action = [run] { return status(*run); }; });
}

}  // namespace regatta
