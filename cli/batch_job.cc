// A job that may be requeued keeps its number and its place; else its successor waits for its end.
#include "cli/batch_job.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "cli/submitted_jobs.h"
#include "cluster/batch_script.h"
#include "cluster/slurm_jobs.h"

namespace regatta {
namespace {

constexpr Microseconds kLookInterval{std::chrono::seconds(15)};
constexpr std::int64_t kLastSeconds = 45;  // Slurm's signal comes earlier, where it was not lost
constexpr int kFruitlessStarts = 3;
// For what comes after saving: crews that are dismissed (see Session), the store, and Slurm's answer.
constexpr std::int64_t kSecondsAfter = 15;
constexpr std::int64_t kDefaultKillWait = 30;

// Changes with every report and every step that is saved, and with nothing else: a new attempt at a trial is
// no progress.
std::string progress_of(const Study& study) {
  std::size_t reports = 0;
  std::string saved;
  for (const TrialRecord& record : study.records()) {
    reports += record.reports.size();
    const std::size_t epoch = record.checkpoint.rfind("epoch-");
    saved += epoch == std::string::npos ? ";" : record.checkpoint.substr(epoch) + ";";
  }
  return fmt::format("{} reports, checkpoints {:08x}", reports, crc32_of(saved));
}

}  // namespace

std::string_view describe(BatchJob::Notice notice) {
  switch (notice) {
    case BatchJob::Notice::none:
      return "nothing";
    case BatchJob::Notice::time_limit:
      return "the time limit is near";
    case BatchJob::Notice::preempted:
      return "the job is preempted";
    case BatchJob::Notice::requeued:
      return "Slurm has requeued the job";
    case BatchJob::Notice::cancelled:
      return "the job is cancelled";
  }
  return "";
}

// Of a job with little time the larger part is for saving: what is lost without that is hours of training,
// what comes after it a start.
Microseconds save_limit(const JobEnd& end) {
  using Notice = BatchJob::Notice;
  std::int64_t left = end.kill_wait;
  if (end.notice == Notice::time_limit) {
    left = end.seconds_left.value_or(end.save_seconds);
  } else if (end.notice == Notice::preempted) {
    left = end.seconds_left.value_or(end.kill_wait);
  }
  const auto limit = [](std::int64_t total) {
    const std::int64_t after = std::min(kSecondsAfter, total / 3);
    return Microseconds(std::chrono::seconds(std::max<std::int64_t>(1, total - after)));
  };
  if (end.notice == Notice::none) {
    return end.seconds_left ? std::min(kSaveLimit, limit(*end.seconds_left)) : kSaveLimit;
  }
  return limit(left);
}

BatchJob::BatchJob(std::filesystem::path folder, SlurmAllocation allocation, const Clock& clock)
    : folder_(std::move(folder)),
      allocation_(std::move(allocation)),
      clock_(clock),
      next_look_(clock.monotonic() + kLookInterval) {}

Result<std::unique_ptr<BatchJob>> BatchJob::find(const std::filesystem::path& folder, const Study& study,
                                                 const Clock& clock) {
  const auto allocation = slurm_allocation();
  if (!allocation || !allocation->batch || !std::filesystem::exists(batch_script_file(folder))) {
    return std::unique_ptr<BatchJob>();
  }
  SubmittedJobs submitted = read_submitted_jobs(folder);
  submitted.starts.push_back(
      {.job = allocation->job, .restarts = allocation->restarts, .progress = progress_of(study)});
  RETURN_IF_ERROR(write_submitted_jobs(folder, submitted));
  return std::unique_ptr<BatchJob>(new BatchJob(folder, *allocation, clock));
}

BatchJob::Notice BatchJob::ask() const {
  const auto found = find_job(allocation_.job);
  if (!found.ok()) {
    spdlog::warn("{}", found.error().message);
    return Notice::none;
  }
  const std::optional<SlurmJob>& job = *found;
  if (!job || job->state == "CANCELLED") {
    return Notice::cancelled;
  }
  if (job->preempted || job->state == "PREEMPTED") {
    return job->is_waiting() ? Notice::requeued : Notice::preempted;
  }
  if (job->is_waiting()) {
    return Notice::requeued;
  }
  const auto left = seconds_left(*job);
  return job->state == "TIMEOUT" || (left && *left < kLastSeconds) ? Notice::time_limit : Notice::none;
}

BatchJob::Notice BatchJob::watch() {
  if (clock_.monotonic() < next_look_) {
    return Notice::none;
  }
  next_look_ = clock_.monotonic() + kLookInterval;
  return ask();
}

Microseconds BatchJob::time_to_save(Notice notice) const {
  JobEnd end{.notice = notice};
  if (const auto job = find_job(allocation_.job); job.ok() && *job) {
    end.seconds_left = seconds_left(**job);
  }
  if (notice == Notice::time_limit && !end.seconds_left) {
    const auto script = read_file(batch_script_file(folder_));
    end.save_seconds = script.ok() ? read_batch_script(*script).request.save_seconds : 0;
  } else if (notice != Notice::none && notice != Notice::time_limit) {
    end.kill_wait = find_kill_wait().value_or(kDefaultKillWait);
  }
  return save_limit(end);
}

Result<std::string> BatchJob::hand_over(const Study& study) {
  const int fruitless = starts_without_progress(read_submitted_jobs(folder_), progress_of(study));
  if (fruitless >= kFruitlessStarts) {
    return failure(
        fmt::format("the last {} starts of the job have brought the study no further, so it is not started "
                    "again. Give the "
                    "job more time (regatta submit {} --time …) or fewer things to do at its start",
                    fruitless, folder_.string()));
  }
  const auto job = find_job(allocation_.job);
  if (!job.ok() || !*job || !(*job)->requeueable) {
    return submit_next("may not be requeued");
  }
  if (const Status requeued = requeue_job(allocation_.job); !requeued.ok()) {
    return submit_next(fmt::format("cannot be requeued: {}", requeued.error().message));
  }
  return fmt::format("job {} is requeued, and goes on where the study stands", allocation_.job);
}

Result<std::string> BatchJob::submit_next(const std::string& why) {
  ASSIGN_OR_RETURN(const std::string next,
                   submit_script(batch_script_file(folder_), {"--dependency=afterany:" + allocation_.job}));
  SubmittedJobs submitted = read_submitted_jobs(folder_);
  submitted.jobs.push_back(next);
  RETURN_IF_ERROR(write_submitted_jobs(folder_, submitted));
  return fmt::format("job {} {}; job {} goes on where the study stands", allocation_.job, why, next);
}

}  // namespace regatta
