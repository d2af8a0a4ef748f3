// Sets of logical CPUs, numbered as Linux numbers them: which ones this process may run on, and their lists
// in words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace regatta {

using CpuSet = std::vector<int>;  // ascending, each once

// "0-3,8", as in /proc/PID/status; "" for none.
std::string format_cpus(const CpuSet& cpus);
Result<CpuSet> parse_cpus(std::string_view text);

CpuSet united(const CpuSet& first, const CpuSet& second);
CpuSet intersected(const CpuSet& first, const CpuSet& second);

// Those that the calling thread may run on.
CpuSet allowed_cpus();

// The calling thread runs on these from now on, as do the threads and processes that it starts. Fails where
// the system allows none of them.
Status run_on(const CpuSet& cpus);

}  // namespace regatta
