// crews/<name>.json in a study's folder: which process a crew is, so that a later coordinator can tell which
// crews have outlived an earlier one. Its leader writes it before it says hello; where the leader may be on
// another host, the coordinator does at once, with the mpirun on its own host as the process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace regatta {

struct CrewRecord {
  std::string crew;
  std::string host;
  std::string boot;                // boot_id() of the host
  long process_id = 0;             // of the leader, or of the mpirun that the crew ends with
  std::int64_t process_start = 0;  // guards against another process with the same id
  long process_group = 0;          // signalling it reaches every rank; 0: the crew has no group of its own
  std::vector<int> slots;          // of a crew that takes up several; else its name says it
};

// The record of this process as the leader of `crew`. With `by_mpirun`, the parent is the crew's mpirun.
CrewRecord record_of_this_process(const std::string& crew, bool by_mpirun);

// A process of this host that leads a group of its own.
CrewRecord record_of_group(const std::string& crew, long process_id);

Status write_crew_record(const std::filesystem::path& study, const CrewRecord& record);
// Records that cannot be read are left out: their crews are found out by their leases.
std::vector<CrewRecord> read_crew_records(const std::filesystem::path& study);
void remove_crew_record(const std::filesystem::path& study, const std::string& crew);

enum class CrewLife { alive, dead, elsewhere };
CrewLife life_of(const CrewRecord& record);

// Sends a signal to the crew's processes, if it lives on this host.
void signal_crew(const CrewRecord& record, int signal);

}  // namespace regatta
