// What the cards are doing: memory in use and time busy, from NVIDIA's management library (NVML). It comes
// with the driver and is looked for when it is asked for, so that nothing has to be there to build or to
// start.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"

namespace regatta {

struct CardUse {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  // of the whole card: other processes take some too
  std::optional<double>
      utilization;  // 0 to 1: the part of the last moments (1/6 s to 1 s) in which a kernel ran
  std::uint64_t used_bytes() const { return total_bytes - free_bytes; }
};

inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

// One thread at a time.
class Nvml {
 public:
  // Fails where there is no such library, and it is no mistake of anyone then.
  static Result<std::unique_ptr<Nvml>> open(const std::string& library = kNvmlLibrary);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // `bus`: as in Card.
  Result<CardUse> use_of(const std::string& bus) const;
  std::optional<std::string> driver_version() const;

 private:
  struct Functions;
  Nvml(void* library, std::unique_ptr<Functions> functions);

  void* library_;
  std::unique_ptr<Functions> functions_;
};

}  // namespace regatta
