// Which CPUs of this host living processes have taken for themselves: a small file of each, where crews that
// nobody deals any find out what is left.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/cpus.h"
#include "base/result.h"
#include "devices/cores.h"

namespace regatta {

// Of this process until the object goes, or the process ends, however it does.
class CpuClaim {
 public:
  // Owns the descriptor of the claim's locked file; -1: it claims nothing.
  CpuClaim(CpuSet cpus, int file) : cpus_(std::move(cpus)), file_(file) {}
  CpuClaim(CpuClaim&& other) noexcept
      : cpus_(std::move(other.cpus_)), file_(std::exchange(other.file_, -1)) {}
  CpuClaim& operator=(CpuClaim&& other) noexcept {
    std::swap(cpus_, other.cpus_);
    std::swap(file_, other.file_);
    return *this;
  }
  ~CpuClaim() {
    if (file_ >= 0) {
      ::close(file_);
    }
  }
  const CpuSet& cpus() const { return cpus_; }

 private:
  CpuSet cpus_;
  int file_;
};

struct CpuClaimOptions {
  std::filesystem::path folder;  // empty: this user's, in the folder for temporary files
  std::string study;             // claims for the same one are not counted as others'; empty: for none
};

// `choose` is told what others have, and what it returns is claimed. Processes take turns, so that no two of
// them choose the same; while it chooses, others wait. Fails where the folder cannot be used, has no locks,
// or others do not let go of it for some seconds; then nothing is known, and nothing claimed.
Result<CpuClaim> claim_cpus(const std::function<CpuSet(const CpuSet& taken)>& choose,
                            const CpuClaimOptions& options = {});

// Of cores that nobody has, what comes to `ranks` processes: with `threads` each, one of as many equal shares
// as have room for them, dealt as deal_cores() does, so that there is something left for others; without a
// number all of them. Empty: they are too few.
CpuSet free_share(std::span<const Core> cores, const CpuSet& taken, int ranks, std::optional<int> threads);

}  // namespace regatta
