// The batch job that a coordinator runs in: when it has to go, and who goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/batch_script.h"
#include "cluster/slurm.h"
#include "cluster/slurm_jobs.h"
#include "coordinator/study.h"

namespace regatta {

// What tells when Slurm will kill the job.
struct JobTimes {
  std::optional<SlurmJob> job;                            // as Slurm has told of it last
  std::int64_t save_seconds = JobRequest().save_seconds;  // between its signal and the time limit, at least
  std::int64_t kill_wait = 30;  // between asking a job's processes to end and killing them
};

// Not thread-safe.
class BatchJob {
 public:
  // Why the coordinator has to save and go.
  enum class Notice {
    none,
    time_limit,  // the job's time is nearly up
    preempted,   // others need its nodes
    requeued,    // Slurm has put it back into the queue by itself
    cancelled,   // somebody wants it to end
  };

  // nullptr: no batch job, or the study was not submitted. The clock must outlive it.
  static Result<std::unique_ptr<BatchJob>> find(const std::filesystem::path& folder, const Study& study,
                                                const Clock& clock);

  // What a signal that ends processes means, or the end of a crew.
  Notice ask();
  // Asks Slurm now and then, because it tells preemption to the crews only, and a signal may get lost.
  Notice watch();
  void watch_soon() { next_look_ = {}; }  // a crew has ended, and it was not its own doing

  // How long crews may take to save, from the moment when it was noticed on; `none`: after something else.
  // Asks Slurm what the job has left, unless it was asked since.
  Microseconds time_to_save(Notice notice, Microseconds noticed);

  // Sees to it that the study goes on in the job's next turn, or in a job that comes after this one. To be
  // called when everything is saved: the job may end at once. Returns what there is to tell. Fails where the
  // last few starts have brought nothing, which another would not change.
  Result<std::string> hand_over(const Study& study);

 private:
  BatchJob(std::filesystem::path folder, SlurmAllocation allocation, const Clock& clock);
  Result<std::string> submit_next(const std::string& why);

  std::filesystem::path folder_;
  SlurmAllocation allocation_;
  const Clock& clock_;
  Microseconds next_look_;
  JobTimes times_;
  std::optional<Microseconds> asked_;  // Slurm for the job; monotonic
};

// How long crews may save where a job does not bound it.
inline constexpr Microseconds kSaveLimit = std::chrono::seconds(60);

// What the job has left, less what dismissing the crews and requeueing may take after it.
Microseconds save_limit(BatchJob::Notice notice, const JobTimes& times);

// "the time limit is near".
std::string_view describe(BatchJob::Notice notice);

}  // namespace regatta
