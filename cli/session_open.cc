// How a session comes about: wires plan, study, store, server and launcher.
#include <fmt/format.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/forecast.h"
#include "cli/host_check.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/study_cores.h"
#include "cluster/network.h"
#include "coordinator/learned.h"

namespace regatta {
namespace {

// A YAML text, whatever it looks like.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char letter : text) {
    result += letter == '\'' ? "''" : std::string(1, letter);
  }
  return result + "'";
}

// Of crews that are started as they were dealt cores; others claim theirs alone.
std::optional<CpuClaim> claim_cores(const std::filesystem::path& study, const Resources& resources) {
  CpuSet dealt;
  for (const RankCpus& crew : resources.cpus) {
    for (const CpuSet& rank : crew) {
      dealt = united(dealt, rank);
    }
  }
  if (dealt.empty()) {
    return std::nullopt;
  }
  StudyClaim made = claim_for_study(study, dealt);
  if (!made.warning.empty()) {
    print_to(stderr, "{}\n", made.warning);
  }
  return std::move(made.claim);
}

}  // namespace

Status check_resume_overrides(const std::vector<std::string>& overrides) {
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

Result<std::unique_ptr<StudyPlan>> Session::check(const NewStudy& request) {
  std::vector<std::string> overrides = request.overrides;
  if (request.name) {
    overrides.push_back("name=" + quoted(*request.name));  // so that the stored file has it too
  }
  ASSIGN_OR_RETURN(Experiment experiment, load_experiment(request.file, overrides));
  ASSIGN_OR_RETURN(auto plan, plan_study(std::move(experiment), {.check_training = true}));
  // Checked under the path that the user gave, for the messages; kept under one that holds from any folder.
  const auto absolute = std::filesystem::absolute(request.file).lexically_normal();
  ASSIGN_OR_RETURN(plan->experiment, load_experiment(absolute, overrides));
  return plan;
}

Result<std::unique_ptr<Session>> Session::create(const NewStudy& request, std::unique_ptr<StudyPlan> plan,
                                                 std::unique_ptr<Launcher> launcher) {
  std::unique_ptr<Session> session(new Session);
  session->plan_ = std::move(plan);
  const Experiment& experiment = session->plan_->experiment;
  session->study_ = make_study(*session->plan_);
  ASSIGN_OR_RETURN(session->address_, coordinator_address(session->plan_->resources));
  ASSIGN_OR_RETURN(session->folder_, make_study_folder(request.runs, experiment.name));
  ASSIGN_OR_RETURN(session->store_, Store::create(session->folder_, experiment,
                                                  encode_learned(session->plan_->search.earlier)));
  session->one_job_ = request.one_job;
  RETURN_IF_ERROR(session->start(std::move(launcher)));
  return session;
}

Result<std::unique_ptr<Store>> open_store(const OldStudy& request) {
  const auto tell = [](const std::string& sentence) { print_to(stderr, "{}\n", sentence); };
  return Store::open(request.folder, {.renewal = request.lock_renewal, .tell = tell});
}

ProgressListener renew_lock_meanwhile(Store& store) {
  return ProgressListener([&store] {
    if (!store.lost_lock()) {  // what comes next will tell of it
      (void)store.keep_lock(SystemClock().monotonic());
    }
  });
}

Result<std::unique_ptr<Session>> Session::reopen(const OldStudy& request) {
  RETURN_IF_ERROR(check_resume_overrides(request.overrides));
  std::unique_ptr<Session> session(new Session);
  session->folder_ = request.folder;
  session->reopened_ = true;
  ASSIGN_OR_RETURN(session->store_, open_store(request));
  Store& store = *session->store_;
  const ProgressListener listener = renew_lock_meanwhile(store);
  std::vector<std::string> overrides = earlier_overrides(request.folder);
  overrides.insert(overrides.end(), request.overrides.begin(), request.overrides.end());
  RETURN_IF_ERROR(session->rebuild(overrides));
  RETURN_IF_ERROR(settle_resources(*session->plan_, session->folder_));
  note_progress();
  ASSIGN_OR_RETURN(auto launcher, make_launcher(session->plan_->resources));
  ASSIGN_OR_RETURN(session->address_, coordinator_address(session->plan_->resources));
  RETURN_IF_ERROR(store.keep_lock(session->clock_.monotonic()));
  if (!request.overrides.empty()) {
    RETURN_IF_ERROR(keep_overrides(request.folder, overrides));
  }
  const Reaction reaction = session->study_->resume(request.retry_failed, session->clock_.wall());
  RETURN_IF_ERROR(store.append(reaction.events, *session->study_));
  RETURN_IF_ERROR(session->start(std::move(launcher)));
  return session;
}

Status Session::rebuild(const std::vector<std::string>& overrides) {
  ASSIGN_OR_RETURN(StoredStudy stored, store_->load());
  note_progress();
  ASSIGN_OR_RETURN(StudyView view, rebuild_study(folder_, std::move(stored), overrides, {}));
  plan_ = std::move(view.plan);
  study_ = std::move(view.study);
  note_progress();
  return {};
}

Status Session::start(std::unique_ptr<Launcher> launcher) {
  RETURN_IF_ERROR(make_directories(logs_folder(folder_)));
  set_up_log({.name = "coordinator", .file = logs_folder(folder_) / "coordinator.log"});
  if (!one_job_) {
    claim_ = claim_cores(folder_, plan_->resources);
  }
  interrupts_ = std::make_unique<Interrupts>();
  ASSIGN_OR_RETURN(job_, BatchJob::find(folder_, *study_, clock_));
  stop_requests_ = std::make_unique<StopRequests>(folder_, store_->lock_identity());
  ASSIGN_OR_RETURN(server_, Server::start(*study_, *store_, clock_, server_options(address_)));
  if (launcher != nullptr) {
    crews_ = std::make_unique<CrewKeeper>(
        std::move(launcher), clock_,
        CrewKeeperOptions{.folder = folder_, .crews = plan_->resources.crews, .restarts = !one_job_});
  }
  display_ = make_display(stdout, clock_);
  forecast_ = std::make_unique<Forecast>(*study_, clock_);
  return {};
}

}  // namespace regatta
