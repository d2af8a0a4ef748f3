// Wires plan, study, store, server, launcher and display, and turns the loop.
#include "cli/session.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/exit_code.h"
#include "cli/forecast.h"
#include "cli/host.h"
#include "cli/summary.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Microseconds kStep = milliseconds(50);
constexpr Microseconds kSaveLimit = seconds(60);     // for crews to write their checkpoints on Ctrl-C
constexpr Microseconds kDismissLimit = seconds(10);  // for dismissed crews to end by themselves
constexpr Microseconds kGrace = seconds(3);          // between asking and killing

// Overrides given to earlier `resume`s, one a line, so that the study keeps them.
std::filesystem::path overrides_file(const std::filesystem::path& folder) { return folder / "overrides"; }

std::vector<std::string> earlier_overrides(const std::filesystem::path& folder) {
  const auto text = read_file(overrides_file(folder));
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (text.ok() && begin < text->size()) {
    const std::size_t end = std::min(text->find('\n', begin), text->size());
    lines.push_back(text->substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

Status check_overrides(const std::vector<std::string>& overrides) {
  for (const std::string& line : overrides) {
    const bool allowed = line.starts_with("search.stop.") || line.starts_with("resources.");
    if (!allowed || line.find('\n') != std::string::npos) {
      return user_mistake(fmt::format(
          "--set {}: only search.stop.… and resources.… can change when a study goes on; start another study",
          line));
    }
  }
  return {};
}

}  // namespace

Session::~Session() = default;

Result<std::unique_ptr<StudyPlan>> Session::check(const NewStudy& request) {
  ASSIGN_OR_RETURN(Experiment experiment, load_experiment(request.file, request.overrides));
  ASSIGN_OR_RETURN(auto plan, plan_study(std::move(experiment), {.check_training = true}));
  // Checked under the path that the user gave, for the messages; kept under one that holds from any folder.
  const auto absolute = std::filesystem::absolute(request.file).lexically_normal();
  ASSIGN_OR_RETURN(plan->experiment, load_experiment(absolute, request.overrides));
  if (request.name) {
    plan->experiment.name = *request.name;
  }
  return plan;
}

Result<std::unique_ptr<Session>> Session::create(const NewStudy& request, std::unique_ptr<StudyPlan> plan,
                                                 std::unique_ptr<Launcher> launcher) {
  std::unique_ptr<Session> session(new Session);
  session->plan_ = std::move(plan);
  const Experiment& experiment = session->plan_->experiment;
  ASSIGN_OR_RETURN(session->study_, make_study(*session->plan_));
  ASSIGN_OR_RETURN(session->folder_, make_study_folder(request.runs, experiment.name));
  ASSIGN_OR_RETURN(session->store_, Store::create(session->folder_, experiment));
  RETURN_IF_ERROR(session->start(std::move(launcher)));
  return session;
}

Result<std::unique_ptr<Session>> Session::reopen(const OldStudy& request) {
  RETURN_IF_ERROR(check_overrides(request.overrides));
  std::unique_ptr<Session> session(new Session);
  session->folder_ = request.folder;
  session->reopened_ = true;
  ASSIGN_OR_RETURN(session->store_, Store::open(request.folder));
  ASSIGN_OR_RETURN(StoredStudy stored, session->store_->load());
  std::vector<std::string> overrides = earlier_overrides(request.folder);
  overrides.insert(overrides.end(), request.overrides.begin(), request.overrides.end());
  ASSIGN_OR_RETURN(StudyView view, rebuild_study(request.folder, std::move(stored), overrides, {}));
  session->plan_ = std::move(view.plan);
  session->study_ = std::move(view.study);
  ASSIGN_OR_RETURN(auto launcher, make_mpirun_launcher(session->plan_->resources));
  if (!request.overrides.empty()) {
    RETURN_IF_ERROR(write_file_atomically(overrides_file(request.folder),
                                          fmt::format("{}\n", fmt::join(overrides, "\n"))));
  }
  const Reaction reaction = session->study_->resume(request.retry_failed, session->clock_.wall());
  RETURN_IF_ERROR(session->store_->append(reaction.events, *session->study_));
  RETURN_IF_ERROR(session->start(std::move(launcher)));
  return session;
}

Status Session::start(std::unique_ptr<Launcher> launcher) {
  RETURN_IF_ERROR(make_directories(logs_folder(folder_)));
  set_up_log({.name = "coordinator", .file = logs_folder(folder_) / "coordinator.log"});
  interrupts_ = std::make_unique<Interrupts>();
  ASSIGN_OR_RETURN(
      server_, Server::start(*study_, *store_, clock_, {.folder = folder_, .max_epochs = plan_->max_epochs}));
  if (launcher != nullptr) {
    crews_ = std::make_unique<CrewKeeper>(
        std::move(launcher), clock_, CrewKeeperOptions{.folder = folder_, .crews = plan_->resources.crews});
  }
  display_ = make_display(stdout, clock_);
  forecast_ = std::make_unique<Forecast>(*study_, clock_);
  return {};
}

Result<int> Session::run() {
  if (reopened_ && study_->ended()) {
    fmt::print(
        "{}\nThe study has ended. To go on, allow more trials (--set search.stop.trials=N) or try failed "
        "ones again (--retry-failed).\n",
        summarize(*study_, folder_, std::chrono::duration<double>(study_->elapsed(clock_.wall())).count()));
    RETURN_IF_ERROR(store_->close());
    return kExitDone;
  }
  display_->note(
      fmt::format("{} {}, stop with Ctrl-C", reopened_ ? "going on with" : "study", folder_.string()));
  if (const auto warning = oversubscription_warning(plan_->resources, usable_cores()); warning && crews_) {
    display_->note(*warning);
  }
  const Status served = serve();
  if (served.ok()) {
    dismiss_crews();
  }
  if (crews_ != nullptr) {
    crews_->stop_all(at_once_ ? Microseconds{0} : kGrace);
  }
  display_->finish(frame());
  return conclude(served);
}

// Also reports the crews that ended with the earlier coordinator, before any other is started.
Status Session::serve() {
  if (crews_ != nullptr && reopened_) {
    for (const CrewExit& gone : crews_->adopt()) {
      RETURN_IF_ERROR(server_->crew_exited(gone.name, gone.preempted, gone.reason));
    }
  }
  while (!server_->finished() && !at_once_) {
    heed_interrupts();
    if (save_until_ && (server_->idle() || save_until_->passed())) {
      break;
    }
    RETURN_IF_ERROR(step());
  }
  return {};
}

Status Session::step() {
  RETURN_IF_ERROR(server_->step(kStep));
  if (crews_ != nullptr && !crew_failure_) {
    const auto exits = crews_->tend(server_->crews_connected());
    if (!exits.ok()) {
      crew_failure_ = exits.error();
      begin_stop();
      return {};
    }
    for (const CrewExit& exit : *exits) {
      if (!exit.clean && !save_until_) {
        // The reason goes on with the last lines of the log, which are of use when the crew cannot be kept.
        display_->note(fmt::format("{} (see {}); it is started again",
                                   exit.reason.substr(0, exit.reason.find(';')),
                                   crew_log(folder_, exit.name).string()));
      }
      RETURN_IF_ERROR(server_->crew_exited(exit.name, exit.preempted, exit.reason));
    }
  }
  display_->update(frame());
  return {};
}

void Session::heed_interrupts() {
  const int interrupts = interrupts_->count();
  if (interrupts > 0 && !save_until_) {
    display_->note("stopping: crews save their checkpoints; Ctrl-C again ends at once");
    begin_stop();
  }
  at_once_ = interrupts > 1;
}

void Session::begin_stop() {
  save_until_.emplace(clock_, kSaveLimit);
  if (crews_ != nullptr) {
    crews_->wind_down();
  }
  if (const Status asked = server_->request_stop(); !asked.ok()) {
    crew_failure_ = asked.error();
  }
}

// Crews have been told to go; their processes get a moment to do so.
void Session::dismiss_crews() {
  if (crews_ == nullptr || at_once_) {
    return;
  }
  crews_->wind_down();
  const Deadline deadline(clock_, kDismissLimit);
  while (crews_->any_running() && !deadline.passed() && interrupts_->count() < 2) {
    if (!step().ok()) {
      return;
    }
  }
}

Result<int> Session::conclude(const Status& served) {
  const Status closed = store_->close();
  for (const Status* status : {&served, &closed}) {
    if (!status->ok()) {
      return status->error();
    }
  }
  if (crew_failure_) {
    return *crew_failure_;
  }
  const double elapsed = std::chrono::duration<double>(study_->elapsed(clock_.wall())).count();
  fmt::print("{}", summarize(*study_, folder_, elapsed));
  const bool interrupted = save_until_ || at_once_;
  if (interrupted) {
    fmt::print("\ninterrupted; the state is saved. Go on with:\n  {} resume {}\n", invoked_as(),
               folder_.string());
    return kExitInterrupted;
  }
  const bool failed = !study_->ended() || study_->ended()->reason == StudyEnded::Reason::failed;
  return failed || !study_->best_trial() ? kExitStudyFailed : kExitDone;
}

Frame Session::frame() const {
  return {.study = *study_,
          .title = plan_->experiment.name,
          .crews = server_->crews_connected(),
          .elapsed_seconds = std::chrono::duration<double>(study_->elapsed(clock_.wall())).count(),
          .seconds_left = forecast_->seconds_left(),
          .stopping = save_until_.has_value()};
}

}  // namespace regatta
