// Nothing leaves this process before the end, so that many steps share a transaction: a study that is killed
// goes on from the last one.
#include "cli/table_session.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/seconds.h"
#include "base/text.h"
#include "cli/exit_code.h"
#include "cli/interrupts.h"
#include "cli/output.h"
#include "cli/study_folder.h"
#include "cli/summary.h"
#include "cli/table_trials.h"
#include "coordinator/learned.h"
#include "coordinator/simulator.h"

namespace regatta {
namespace {

constexpr std::size_t kEventsPerTransaction = 5000;
constexpr Microseconds kTransactionInterval = std::chrono::milliseconds(200);  // for who looks at the file

class TableSession {
 public:
  TableSession(std::filesystem::path folder, const StudyPlan& plan, Study& study, Store& store)
      : stop_requests_(folder, store.lock_identity()),
        folder_(std::move(folder)),
        plan_(plan),
        study_(study),
        store_(store) {}

  Result<int> run(Microseconds start) {
    TableTrials curves(*plan_.curves, plan_.experiment, study_.trials());
    const SimulationOptions options{.crews = plan_.resources.crews,
                                    .lanes = std::max(1, plan_.resources.lanes),
                                    .seed = plan_.experiment.seed,
                                    .epoch_seconds = 1,
                                    .epoch_spread = 0,
                                    .start_seconds = 0,
                                    .curves = &curves,
                                    .start = start};
    last_write_ = clock_.monotonic();
    const auto result = simulate(study_, options,
                                 {.observe = [this](const TimedEvent& event) { events_.push_back(event); },
                                  .step = [this] { return step(); }});
    RETURN_IF_ERROR(write());
    RETURN_IF_ERROR(store_.close());
    if (!result.ok()) {
      return result.error();
    }
    const Microseconds end = start + Microseconds(static_cast<std::int64_t>(result->makespan_seconds * 1e6));
    print_out("{}", summarize(study_, folder_, in_seconds(study_.elapsed(end))));
    const int code = exit_code_of(study_);
    if (code == kExitInterrupted) {
      print_out("\ninterrupted; the state is saved. Go on with:\n  {}\n", resume_command(folder_));
    }
    std::fflush(stdout);
    print_to(stderr, "looked up in {}: times above are virtual\n", format_duration(result->wall_seconds));
    return code;
  }

 private:
  Result<std::optional<Input>> step() {
    if (events_.size() >= kEventsPerTransaction || clock_.monotonic() - last_write_ >= kTransactionInterval) {
      RETURN_IF_ERROR(write());
    }
    const auto& request = stop_requests_.look(clock_.monotonic());
    if ((interrupts_.count() > 0 || request) && !std::exchange(asked_to_stop_, true)) {
      return std::optional<Input>(StopRequested{});
    }
    return std::optional<Input>();
  }

  Status write() {
    RETURN_IF_ERROR(store_.keep_lock(clock_.monotonic()));
    RETURN_IF_ERROR(store_.append(events_, study_));
    events_.clear();
    last_write_ = clock_.monotonic();
    return {};
  }

  const SystemClock clock_;
  const Interrupts interrupts_;
  StopRequests stop_requests_;
  std::filesystem::path folder_;
  const StudyPlan& plan_;
  Study& study_;
  Store& store_;
  std::vector<TimedEvent> events_;
  Microseconds last_write_{0};
  bool asked_to_stop_ = false;
};

}  // namespace

Result<int> run_table_study(const NewStudy& request, std::unique_ptr<StudyPlan> plan) {
  const auto study = make_study(*plan);
  ASSIGN_OR_RETURN(const auto folder, make_study_folder(request.runs, plan->experiment.name));
  ASSIGN_OR_RETURN(const auto store,
                   Store::create(folder, plan->experiment, encode_learned(plan->search.earlier)));
  return TableSession(folder, *plan, *study, *store).run(SystemClock().wall());
}

Result<int> resume_table_study(const OldStudy& request) {
  RETURN_IF_ERROR(check_resume_overrides(request.overrides));
  ASSIGN_OR_RETURN(const auto store, open_store(request));
  const ProgressListener listener = renew_lock_meanwhile(*store);
  ASSIGN_OR_RETURN(StoredStudy stored, store->load());
  std::vector<std::string> overrides = earlier_overrides(request.folder);
  overrides.insert(overrides.end(), request.overrides.begin(), request.overrides.end());
  ASSIGN_OR_RETURN(const StudyView view, rebuild_study(request.folder, std::move(stored), overrides, {}));
  if (!request.overrides.empty()) {
    RETURN_IF_ERROR(keep_overrides(request.folder, overrides));
  }
  // Virtual time goes on where it ended.
  const Microseconds start = view.events.empty() ? SystemClock().wall() : view.events.back().at;
  const Reaction reaction = view.study->resume(request.retry_failed, start);
  RETURN_IF_ERROR(store->append(reaction.events, *view.study));
  if (view.study->ended()) {
    print_out("{}", describe_ended(*view.study, request.folder));
    RETURN_IF_ERROR(store->close());
    return exit_code_of(*view.study);
  }
  return TableSession(request.folder, *view.plan, *view.study, *store).run(start);
}

}  // namespace regatta
