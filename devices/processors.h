// The processors of this host, as people count them: cores, and the threads that these run at once.
#pragma once

#include <filesystem>

namespace regatta {

struct Processors {
  int cores = 0;  // 0: the system does not tell
  int threads = 0;
};

Processors find_processors(const std::filesystem::path& system = "/sys/devices/system/cpu");

}  // namespace regatta
