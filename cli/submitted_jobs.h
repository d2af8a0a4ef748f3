// jobs.json in a study's folder: the Slurm jobs that it was given to, and how far it was when each started.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace regatta {

// One start of a job; a requeued job starts again.
struct JobStart {
  std::string job;
  int restarts = 0;
  std::string progress;  // how far the study was; a text to compare
};

struct SubmittedJobs {
  std::vector<std::string> jobs;  // numbers, oldest first
  std::vector<JobStart> starts;
};

std::filesystem::path batch_script_file(const std::filesystem::path& study);

// Empty where the study was never submitted.
SubmittedJobs read_submitted_jobs(const std::filesystem::path& study);
Status write_submitted_jobs(const std::filesystem::path& study, const SubmittedJobs& submitted);

// How many starts in a row, this one included, found the study as far as it is now.
int starts_without_progress(const SubmittedJobs& submitted, const std::string& progress);

}  // namespace regatta
