// One session of a coordinator: a study from where it stands to its end, or to an interrupt. `run` and
// `resume` differ only in how they open it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/progress.h"
#include "base/result.h"
#include "cli/batch_job.h"
#include "cli/crew_keeper.h"
#include "cli/display.h"
#include "cli/interrupts.h"
#include "cli/stop_request.h"
#include "cli/study_folder.h"
#include "coordinator/server.h"
#include "coordinator/store.h"
#include "devices/core_claims.h"

namespace regatta {

struct NewStudy {
  std::filesystem::path file;
  std::vector<std::string> overrides;  // KEY=VALUE
  std::optional<std::string> name;     // else the experiment's own
  std::filesystem::path runs = "runs";
  std::filesystem::path trace;  // a file for the timeline; empty: none
  bool one_job = false;         // the crews are ranks of the mpirun that has started this process
};

struct OldStudy {
  std::filesystem::path folder;
  std::vector<std::string> overrides;  // of search.stop and resources only
  bool retry_failed = false;
  Microseconds lock_renewal = kLockRenewal;
};

// Opens its store, and tells what has to be waited for.
Result<std::unique_ptr<Store>> open_store(const OldStudy& request);
// Renews the study's lock while what the caller does notes that it gets on: reading data, asking hosts and
// trying the model may each take longer than others wait before they take the lock over. The store must
// outlive it.
ProgressListener renew_lock_meanwhile(Store& store);

// What may change when a study goes on.
Status check_resume_overrides(const std::vector<std::string>& overrides);

// Of run and resume alike, by how the study stands and not by what happened on the way.
int exit_code_of(const Study& study);

// What `resume` says of a study that has ended, and how it could go on.
std::string describe_ended(const Study& study, const std::filesystem::path& folder);

class Session {
 public:
  // Checks everything before anything is made or started.
  static Result<std::unique_ptr<StudyPlan>> check(const NewStudy& request);
  // Makes the folder and the store, starts the server. run() starts the crews with `launcher`; without one,
  // they come by themselves.
  static Result<std::unique_ptr<Session>> create(const NewStudy& request, std::unique_ptr<StudyPlan> plan,
                                                 std::unique_ptr<Launcher> launcher);
  // Replays the stored study, starts the server. Renews the study's lock as it gets on.
  static Result<std::unique_ptr<Session>> reopen(const OldStudy& request);

  // Until the study has ended or was interrupted; prints what there is to see. Returns the exit code.
  Result<int> run();

  const std::filesystem::path& folder() const { return folder_; }

 private:
  Session();
  Status start(std::unique_ptr<Launcher> launcher);
  Status rebuild(const std::vector<std::string>& overrides);
  Status serve();
  Status step();
  Status tend_crews();
  int interrupts();
  ServerOptions server_options(const std::string& address);
  std::string why_crews_stay() const;
  void note_start(const StartAttempt& start);
  void heed_interrupts();
  void heed_job(BatchJob::Notice notice, Microseconds noticed);
  Microseconds begin_stop(const StopOptions& options, BatchJob::Notice notice, Microseconds noticed);
  Result<int> give_up_study(const Status& served);
  void dismiss_crews();
  Status stop_crews();
  Result<int> conclude(const Status& served);
  Result<int> tell_end();
  Result<int> hand_over();
  Frame frame() const;

  SystemClock clock_;
  std::filesystem::path folder_;
  std::string address_;  // where the server listens
  std::unique_ptr<StudyPlan> plan_;
  std::optional<CpuClaim> claim_;  // on the cores that crews were dealt here
  std::unique_ptr<Study> study_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<CrewKeeper> crews_;  // nullptr: they come by themselves
  std::unique_ptr<Display> display_;
  std::unique_ptr<class Forecast> forecast_;
  std::unique_ptr<Interrupts> interrupts_;
  std::unique_ptr<BatchJob> job_;  // nullptr: not in one
  bool handing_over_ = false;      // the study goes on in another job
  std::unique_ptr<StopRequests> stop_requests_;
  Microseconds looked_{0};              // at crews and display; monotonic
  std::optional<Error> crew_failure_;   // the crews cannot be kept alive
  std::optional<Deadline> save_until_;  // set once the study was asked to stop
  Microseconds dismiss_limit_;          // for dismissed crews to end by themselves
  bool at_once_ = false;
  bool reopened_ = false;
  bool one_job_ = false;

 public:
  ~Session();
};

}  // namespace regatta
