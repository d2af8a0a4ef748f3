// JSON, so that people can read it too.
#include "cli/crew_record.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/host.h"

namespace regatta {
namespace {

std::filesystem::path records_folder(const std::filesystem::path& study) { return study / "crews"; }

std::filesystem::path record_path(const std::filesystem::path& study, const std::string& crew) {
  return records_folder(study) / (crew + ".json");
}

}  // namespace

CrewRecord record_of_this_process(const std::string& crew, bool by_mpirun) {
  // Only a group that its own leader made: a shell's group holds more than the crew.
  const pid_t started = by_mpirun ? ::getppid() : ::getpid();
  return {.crew = crew,
          .host = host_name(),
          .boot = boot_id(),
          .process_id = ::getpid(),
          .process_start = process_start(::getpid()).value_or(0),
          .process_group = ::getpgid(started) == started ? started : 0};
}

CrewRecord record_of_group(const std::string& crew, long process_id) {
  return {.crew = crew,
          .host = host_name(),
          .boot = boot_id(),
          .process_id = process_id,
          .process_start = process_start(process_id).value_or(0),
          .process_group = process_id};
}

Status write_crew_record(const std::filesystem::path& study, const CrewRecord& record) {
  RETURN_IF_ERROR(make_directories(records_folder(study)));
  const nlohmann::ordered_json json{{"crew", record.crew},
                                    {"host", record.host},
                                    {"boot", record.boot},
                                    {"process_id", record.process_id},
                                    {"process_start", record.process_start},
                                    {"process_group", record.process_group},
                                    {"slots", record.slots}};
  return write_file_atomically(record_path(study, record.crew), json.dump(2) + "\n");
}

std::vector<CrewRecord> read_crew_records(const std::filesystem::path& study) {
  std::vector<CrewRecord> records;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(records_folder(study), ignored)) {
    if (entry.path().extension() != ".json") {
      continue;
    }
    const auto text = read_file(entry.path());
    const auto json = nlohmann::json::parse(text.ok() ? *text : std::string(), nullptr, false);
    try {
      records.push_back({.crew = json.at("crew"),
                         .host = json.at("host"),
                         .boot = json.at("boot"),
                         .process_id = json.at("process_id"),
                         .process_start = json.at("process_start"),
                         .process_group = json.at("process_group"),
                         .slots = json.value("slots", std::vector<int>())});
    } catch (const nlohmann::json::exception&) {
      continue;
    }
  }
  return records;
}

void remove_crew_record(const std::filesystem::path& study, const std::string& crew) {
  std::error_code ignored;
  std::filesystem::remove(record_path(study, crew), ignored);
}

CrewLife life_of(const CrewRecord& record) {
  if (record.host != host_name()) {
    return CrewLife::elsewhere;
  }
  const bool same = record.boot == boot_id() && process_start(record.process_id) == record.process_start;
  return same ? CrewLife::alive : CrewLife::dead;
}

void signal_crew(const CrewRecord& record, int signal) {
  if (life_of(record) != CrewLife::alive) {
    return;
  }
  if (record.process_group > 1) {
    ::kill(-static_cast<pid_t>(record.process_group), signal);
  }
  ::kill(static_cast<pid_t>(record.process_id), signal);
}

}  // namespace regatta
