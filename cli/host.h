// This host and its processes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace regatta {

std::string host_name();

// How the user called this program, for commands in messages: "build/release/regatta".
std::string invoked_as();

bool process_exists(long process_id);

// When a process started, in the kernel's ticks since boot: with the process id it names one process, as
// long as the host is up. nullopt: there is no such process, or it is a zombie.
std::optional<std::int64_t> process_start(long process_id);

// Changes with every start of the host; empty where the system does not tell.
std::string boot_id();

}  // namespace regatta
