// A job that may be requeued keeps its number and its place; else its successor waits for its end.
#include "cli/batch_job.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "cli/submitted_jobs.h"

namespace regatta {
namespace {

constexpr Microseconds kLookInterval{std::chrono::seconds(15)};
constexpr std::int64_t kLastSeconds = 45;  // Slurm's signal comes earlier, where it was not lost
constexpr int kFruitlessStarts = 3;
// For what comes after saving: crews that are dismissed, and killed where they do not go (13.5 s, see
// Session), the store on a slow file system, and Slurm's answers.
constexpr std::int64_t kSecondsAfter = 30;

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

// Of a job whose limit has passed it is the time until Slurm kills what does not end.
std::optional<std::int64_t> left_in_job(const JobTimes& times) {
  if (!times.job) {
    return std::nullopt;
  }
  return times.job->state == "TIMEOUT" ? std::optional(times.kill_wait) : seconds_left(*times.job);
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
Microseconds save_limit(BatchJob::Notice notice, const JobTimes& times) {
  using Notice = BatchJob::Notice;
  const std::optional<std::int64_t> in_job = left_in_job(times);
  std::int64_t left = times.kill_wait;
  if (notice == Notice::time_limit) {
    left = in_job.value_or(times.save_seconds);
  } else if (notice == Notice::preempted) {
    left = in_job.value_or(times.kill_wait);
  }
  const auto limit = [](std::int64_t total) {
    const std::int64_t after = std::min(kSecondsAfter, total / 3);
    return Microseconds(std::chrono::seconds(std::max<std::int64_t>(1, total - after)));
  };
  if (notice == Notice::none) {
    return in_job ? std::min(kSaveLimit, limit(*in_job)) : kSaveLimit;
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
  std::unique_ptr<BatchJob> job(new BatchJob(folder, *allocation, clock));
  // Known before they are needed: then there is no time to ask.
  if (const auto script = read_file(batch_script_file(folder)); script.ok()) {
    job->times_.save_seconds = read_batch_script(*script).request.save_seconds;
  }
  job->times_.kill_wait = find_kill_wait().value_or(job->times_.kill_wait);
  return job;
}

BatchJob::Notice BatchJob::ask() {
  const auto found = find_job(allocation_.job);
  asked_ = clock_.monotonic();
  times_.job = found.ok() ? *found : std::nullopt;
  if (!found.ok()) {
    spdlog::warn("{}", found.error().message);
    return Notice::none;
  }
  const std::optional<SlurmJob>& job = times_.job;
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

Microseconds BatchJob::time_to_save(Notice notice, Microseconds noticed) {
  if (!asked_ || *asked_ < noticed) {
    ask();
  }
  return save_limit(notice, times_);
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
