// JSON, so that people and scripts can read it too.
#include "cli/submitted_jobs.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace regatta {
namespace {

std::filesystem::path jobs_file(const std::filesystem::path& study) { return study / "jobs.json"; }

}  // namespace

std::filesystem::path batch_script_file(const std::filesystem::path& study) {
  return study / "submit.sbatch";
}

SubmittedJobs read_submitted_jobs(const std::filesystem::path& study) {
  SubmittedJobs submitted;
  const auto text = read_file(jobs_file(study));
  const auto json = nlohmann::json::parse(text.ok() ? *text : std::string(), nullptr, false);
  try {
    submitted.jobs = json.at("jobs").get<std::vector<std::string>>();
    for (const auto& start : json.at("starts")) {
      submitted.starts.push_back(
          {.job = start.at("job"), .restarts = start.at("restarts"), .progress = start.at("progress")});
    }
  } catch (const nlohmann::json::exception&) {
    return submitted;  // what could be read of it
  }
  return submitted;
}

Status write_submitted_jobs(const std::filesystem::path& study, const SubmittedJobs& submitted) {
  nlohmann::ordered_json json{{"jobs", submitted.jobs}, {"starts", nlohmann::ordered_json::array()}};
  for (const JobStart& start : submitted.starts) {
    json["starts"].push_back(
        {{"job", start.job}, {"restarts", start.restarts}, {"progress", start.progress}});
  }
  return write_file_atomically(jobs_file(study), json.dump(2) + "\n");
}

int starts_without_progress(const SubmittedJobs& submitted, const std::string& progress) {
  int count = 0;
  for (auto start = submitted.starts.rbegin();
       start != submitted.starts.rend() && start->progress == progress; ++start) {
    ++count;
  }
  return count;
}

}  // namespace regatta
