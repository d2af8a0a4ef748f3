// Turns the loop: crews, display, and what ends a session.
#include "cli/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/host.h"
#include "base/seconds.h"
#include "base/text.h"
#include "cli/elastic_plan.h"
#include "cli/exit_code.h"
#include "cli/forecast.h"
#include "cli/host_check.h"
#include "cli/output.h"
#include "cli/summary.h"
#include "coordinator/checkpoint_files.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Microseconds kStep = milliseconds(50);     // between looks at crews and display
constexpr Microseconds kDismissLimit = seconds(10);  // for dismissed crews to end by themselves
constexpr int kSaveToDismiss = 4;  // where a job has little time left: so much more for saving than for that
constexpr Microseconds kLastSteps = milliseconds(500);  // for what stopped crews have sent
constexpr Microseconds kGrace = seconds(3);             // between asking and killing

}  // namespace

int exit_code_of(const Study& study) {
  if (!study.ended() || study.ended()->reason == StudyEnded::Reason::interrupted) {
    return kExitInterrupted;
  }
  const bool failed = study.ended()->reason == StudyEnded::Reason::failed || !study.best_trial();
  return failed ? kExitStudyFailed : kExitDone;
}

std::string describe_ended(const Study& study, const std::filesystem::path& folder) {
  const Microseconds last = study.elapsed(Microseconds{0});
  return fmt::format(
      "{}\nThe study has ended. To go on, allow more trials (--set search.stop.trials=N) or try failed ones "
      "again "
      "(--retry-failed).\n",
      summarize(study, folder, in_seconds(last)));
}

Session::Session() : dismiss_limit_(kDismissLimit) {}

Session::~Session() = default;

ServerOptions Session::server_options(const std::string& address) {
  ServerOptions options{.folder = folder_, .bind_address = address, .max_epochs = plan_->max_epochs};
  options.slots_of = [this, possible = why_crews_stay().empty()](const std::string& crew) {
    return crews_ != nullptr && possible ? crews_->slots_of(crew) : std::vector<int>();
  };
  options.reshape = [this](const ReshapeCrews& reshaping) { crews_->reshape(reshaping.crews); };
  options.dismissed = [this](const DismissCrew& dismissal) {
    if (crews_ != nullptr) {
      crews_->expect_end(dismissal.crew);
    }
  };
  options.started = [this](const StartAttempt& start) { note_start(start); };
  return options;
}

// A sentence without an end; empty: they may grow.
std::string Session::why_crews_stay() const {
  return one_job_ ? "they are parts of one MPI job" : why_no_large_crews(plan_->resources);
}

void Session::note_start(const StartAttempt& start) {
  const std::size_t slots = crews_ == nullptr ? 1 : crews_->slots_of(start.crew).size();
  if (slots > 1) {
    display_->note(fmt::format("trial {} {} with {} ranks", start.trial,
                               start.checkpoint.empty() ? "begins" : "goes on",
                               slots * static_cast<std::size_t>(plan_->resources.ranks)));
  }
}

Result<int> Session::run() {
  if (reopened_ && study_->ended()) {
    print_out("{}", describe_ended(*study_, folder_));
    RETURN_IF_ERROR(store_->close());
    return exit_code_of(*study_);
  }
  display_->note(
      fmt::format("{} {}, stop with Ctrl-C", reopened_ ? "going on with" : "study", folder_.string()));
  if (!plan_->resources.places.empty()) {
    display_->note(describe_places(plan_->resources, address_));
  }
  if (!plan_->resources.why_cpus.empty()) {
    display_->note(
        fmt::format("on CPUs, because {}; `ranks_per_gpu: N` lets them share", plan_->resources.why_cpus));
  }
  if (const auto& room = plan_->resources.slurm) {
    display_->note(room->describe(plan_->resources.crews));
  } else if (const auto warning = oversubscription_warning(plan_->resources, usable_cores());
             warning && crews_) {
    display_->note(*warning);
  }
  if (const std::string why = why_crews_stay();
      !why.empty() && plan_->resources.crews > 1 && elastic_options(*plan_)) {
    display_->note(fmt::format("crews do not grow where trials are few (`elastic`): {}", why));
  }
  const Status served = serve();
  if (served.ok()) {
    dismiss_crews();
  }
  if (store_->lost_lock()) {
    return give_up_study(served);
  }
  const Status stopped = stop_crews();
  display_->finish(frame());
  return conclude(served.ok() ? stopped : served);
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
  // These look at every crew and trial: too long a pause between messages that come in thousands a second.
  if (clock_.monotonic() - looked_ < kStep) {
    return {};
  }
  looked_ = clock_.monotonic();
  if (crews_ != nullptr) {
    RETURN_IF_ERROR(tend_crews());
  }
  display_->update(frame());
  return {};
}

// Goes on after a failure, so that crews that end are still seen to end.
Status Session::tend_crews() {
  if (study_->ended()) {
    crews_->wind_down();
  }
  const CrewKeeper::Tended tended = crews_->tend(server_->connected_crews());
  for (const CrewExit& exit : tended.exits) {
    const auto is_among = [&](const std::vector<std::string>& crews) {
      return std::ranges::find(crews, exit.name) != crews.end();
    };
    if (!is_among(tended.replaced) && !save_until_ && !tended.failure && !study_->ended()) {
      // The reason goes on with the last lines of the log, which are of use when the crew cannot be kept.
      const char* const next = one_job_                   ? "its ranks end, and the other crews go on"
                               : is_among(tended.divided) ? "its ranks are divided into smaller crews again"
                                                          : "it is started again";
      display_->note(fmt::format("{} (see {}); {}", exit.reason.substr(0, exit.reason.find(';')),
                                 crew_log(folder_, exit.name).string(), next));
    }
    RETURN_IF_ERROR(server_->crew_exited(exit.name, exit.preempted, exit.reason));
    if (job_ != nullptr && exit.preempted) {
      job_->watch_soon();
    }
  }
  if (tended.failure && !crew_failure_) {
    crew_failure_ = tended.failure;
    begin_stop({}, BatchJob::Notice::none, clock_.monotonic());
  }
  return {};
}

// Signals and requests alike: once means save and end, twice means end now.
int Session::interrupts() {
  const auto& request = stop_requests_->look(clock_.monotonic());
  const int requested = !request ? 0 : request->at_once ? 2 : 1;
  return std::max(interrupts_->count(), requested);
}

// Once the study has ended there is nothing left to save: the first interrupt changes nothing.
void Session::heed_interrupts() {
  const Microseconds noticed = clock_.monotonic();
  const int count = interrupts();
  const auto& request = stop_requests_->newest();
  // Slurm repeats itself, and kills when it means it.
  at_once_ = job_ == nullptr ? count > 1 : request && request->at_once;
  if (request) {
    handing_over_ = false;  // also where the job was about to go on later
  }
  if (save_until_ || study_->ended()) {
    return;
  }
  if (interrupts_->time_is_up() && !request) {
    heed_job(BatchJob::Notice::time_limit, noticed);
  } else if (count > 0 && job_ != nullptr && !request) {
    const BatchJob::Notice notice = job_->ask();
    heed_job(notice == BatchJob::Notice::none ? BatchJob::Notice::cancelled : notice, noticed);
  } else if (count > 0) {
    display_->note(fmt::format("stopping{}: crews save their checkpoints; Ctrl-C again ends at once",
                               request ? ", as " + request->by + " has asked" : ""));
    if (one_job_) {  // mpirun may end this process before it can say more
      display_->note("go on with: " + resume_command(folder_));
    }
    begin_stop({.why = request ? "stopped by 'regatta stop' of " + request->by : StopOptions().why,
                .comes_back = !request && !interrupts_->by_user()},
               BatchJob::Notice::none, noticed);
  } else if (job_ != nullptr) {
    heed_job(job_->watch(), noticed);
  }
}

void Session::heed_job(BatchJob::Notice notice, Microseconds noticed) {
  using Notice = BatchJob::Notice;
  if (notice == Notice::none) {
    return;
  }
  handing_over_ = job_ != nullptr && (notice == Notice::time_limit || notice == Notice::preempted);
  const Microseconds limit = begin_stop(
      {.why = std::string(describe(notice)), .comes_back = notice != Notice::cancelled}, notice, noticed);
  display_->note(fmt::format("{}: crews save their checkpoints, within {}", describe(notice),
                             format_duration(in_seconds(limit))));
}

// Returns how long crews have to save, from `noticed` on. They hear of it before Slurm is asked for that,
// which may take it seconds to answer.
Microseconds Session::begin_stop(const StopOptions& options, BatchJob::Notice notice, Microseconds noticed) {
  if (crews_ != nullptr) {
    crews_->wind_down();
  }
  if (const Status asked = server_->request_stop(options); !asked.ok()) {
    crew_failure_ = asked.error();
  }
  const Microseconds limit = job_ == nullptr ? kSaveLimit : job_->time_to_save(notice, noticed);
  save_until_.emplace(clock_, noticed + limit - clock_.monotonic());
  dismiss_limit_ = std::min(kDismissLimit, limit / kSaveToDismiss);
  return limit;
}

// Crews have been told to go; their processes get a moment to do so.
void Session::dismiss_crews() {
  if (crews_ == nullptr || at_once_) {
    return;
  }
  crews_->wind_down();
  const Deadline deadline(clock_, dismiss_limit_);
  while (crews_->any_running() && !deadline.passed() && interrupts() < 2) {
    if (!step().ok()) {
      return;
    }
  }
}

// The study hears of every crew that had to be stopped, and of its last words: otherwise a later session
// would wait for it to come back. Where that cannot be stored (a full disk), that session finds the crew's
// record, and its process gone.
Status Session::stop_crews() {
  const std::vector<CrewExit> ended =
      crews_ == nullptr ? std::vector<CrewExit>() : crews_->stop_all(at_once_ ? Microseconds{0} : kGrace);
  if (ended.empty()) {
    return {};
  }
  if (!study_->ended()) {
    for (const CrewExit& exit : ended) {
      RETURN_IF_ERROR(server_->crew_exited(exit.name, exit.preempted, exit.reason));
    }
    const Deadline deadline(clock_, kLastSteps);
    while (!deadline.passed() && !study_->ended()) {
      RETURN_IF_ERROR(server_->step(kStep));
    }
  }
  crews_->forget(ended);
  return {};
}

// The study is another coordinator's, and so are the crews: they look for it by themselves.
Result<int> Session::give_up_study(const Status& served) {
  (void)crews_.release();  // its end would end them
  display_->finish(frame());
  return served.ok() ? failure("the study's lock was lost while crews were being dismissed") : served.error();
}

Result<int> Session::conclude(const Status& served) {
  const Status closed = store_->close();
  for (const Status* status : {&served, &closed}) {
    if (!status->ok()) {
      return status->error();
    }
  }
  // Hands over first: there may be little time left, and sweeping a slow file system takes long.
  Result<int> code = tell_end();
  if (!at_once_) {
    sweep_checkpoints(folder_, study_->checkpoints(),
                      study_->ended() ? ProgramFolders::go_where_not_needed : ProgramFolders::stay);
  }
  return code;
}

Result<int> Session::tell_end() {
  if (crew_failure_) {
    return *crew_failure_;
  }
  const double elapsed = in_seconds(study_->elapsed(clock_.wall()));
  print_out("{}", summarize(*study_, folder_, elapsed));
  const int code = exit_code_of(*study_);
  if (code == kExitInterrupted && handing_over_) {
    return hand_over();
  }
  if (code == kExitInterrupted) {
    print_out("\ninterrupted; the state is saved. Go on with:\n  {}\n", resume_command(folder_));
  }
  return code;
}

// Slurm may end the job from now on: nothing that matters may come after it.
Result<int> Session::hand_over() {
  ASSIGN_OR_RETURN(const std::string next, job_->hand_over(*study_));
  print_out("\n{}\n", next);
  std::fflush(stdout);
  return kExitContinues;
}

Frame Session::frame() const {
  return {.study = *study_,
          .title = plan_->experiment.name,
          .crews = server_->crews_connected(),
          .elapsed_seconds = in_seconds(study_->elapsed(clock_.wall())),
          .seconds_left = forecast_->seconds_left(),
          .stopping = save_until_.has_value()};
}

}  // namespace regatta
