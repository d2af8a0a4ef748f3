// This host and the processes on it, as the system tells.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace regatta {

std::string host_name();  // "localhost" where the system does not tell

// Changes with every start of the host; empty where the system does not tell.
std::string boot_id();

// Cores that this process may use: its affinity, and cpu_limit(); at least 1.
int usable_cores();

// How many cores' time this process may use, whichever these are: its container's limit (`docker run --cpus`)
// and, where Slurm counts CPUs but does not confine processes to them, what it has given of this host.
// nullopt: no limit.
std::optional<int> cpu_limit();

bool process_exists(long process_id);

// When a process started, in the kernel's ticks since boot: with the process id it names one process, as
// long as the host is up. nullopt: there is no such process, or it is a zombie.
std::optional<std::int64_t> process_start(long process_id);

// Whether the process of this number that started then may still run; with nullopt any that has the number.
// Only a process that is surely another one, or a zombie, is told apart: where the system hides it, it runs.
bool may_run(long process_id, std::optional<std::int64_t> start);

// The session that a process is in. nullopt: there is no such process.
std::optional<pid_t> process_session(long process_id);

}  // namespace regatta
