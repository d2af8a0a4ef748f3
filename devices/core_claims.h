// Which CPUs of this host living processes have taken for themselves: a small file on the host, where crews
// that nobody deals any to find out what is left.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <span>

#include "base/cpus.h"
#include "base/result.h"
#include "devices/cores.h"

namespace regatta {

struct CpuClaimOptions {
  std::filesystem::path file;  // empty: this user's, in the folder for temporary files
  long process = ::getpid();   // the CPUs are its own until it ends
};

// `choose` is told what other processes have, and what it returns is this process's from now on. Processes
// take turns, so that no two of them choose the same. Fails where the file cannot be used, or others do not
// let go of it for some seconds; then nothing was chosen.
Result<CpuSet> claim_cpus(const std::function<CpuSet(const CpuSet& taken)>& choose,
                          const CpuClaimOptions& options = {});

// Of cores that nobody has, what comes to `ranks` processes: with `threads` each, one of as many equal shares
// as have room for them, dealt as deal_cores() does, so that there is something left for others; without a
// number all of them. Empty: they are too few.
CpuSet free_share(std::span<const Core> cores, const CpuSet& taken, int ranks, std::optional<int> threads);

}  // namespace regatta
