// Jobs as Slurm's clients tell of them: submit, ask, requeue.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace regatta {

struct SlurmJob {
  std::string id;
  std::string state;   // "PENDING", "RUNNING", …
  std::string reason;  // why it waits; empty: none
  std::string nodes;   // "n[1-2]"; empty before it runs
  std::string run_time;
  std::string time_limit;  // "1-00:00:00", "UNLIMITED"
  std::string start_time;  // "2026-11-21T21:35:09"; of a job that waits, as Slurm expects; empty: unknown
  std::string end_time;    // likewise: when Slurm will end it; sooner than the limit once it is preempted
  bool requeueable = false;
  bool preempted = false;  // has been told to make room

  bool is_waiting() const { return state == "PENDING" || state == "CONFIGURING" || state == "REQUEUED"; }
  bool is_ending() const { return state == "COMPLETING"; }
  bool is_running() const { return state == "RUNNING" || state == "SUSPENDED"; }
};

// From a line of `scontrol show job -o`; nullopt: there is none in it.
std::optional<SlurmJob> parse_job(const std::string& line);

// "1-02:03:04", "02:03:04", "03:04" (minutes and seconds); nullopt: no limit, or no such text.
std::optional<std::int64_t> parse_slurm_seconds(const std::string& text);

// How long a running job may still run: to its limit, or the end of the grace that a preemption leaves it.
// nullopt: without end, or unknown.
std::optional<std::int64_t> seconds_left(const SlurmJob& job);

// nullopt: Slurm knows no such job (any more).
Result<std::optional<SlurmJob>> find_job(const std::string& id);

// Seconds from the signal that asks a cancelled job's processes to end to the one that kills them (KillWait).
// From what `scontrol show config` prints; nullopt: it is not in it.
std::optional<std::int64_t> parse_kill_wait(const std::string& config);
std::optional<std::int64_t> find_kill_wait();

// Where the nodes of a list such as "n[1-4]" are reached.
Result<std::vector<std::string>> node_addresses(const std::string& node_list);

// Hands in a script with extra options before it; the new job's number.
Result<std::string> submit_script(const std::filesystem::path& script,
                                  const std::vector<std::string>& options);

// The job ends and waits for its next turn.
Status requeue_job(const std::string& id);

}  // namespace regatta
