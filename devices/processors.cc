// Linux tells for each thread (cpu0, cpu1, …) which ones share its core.
#include "devices/processors.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

#include "base/file.h"

namespace regatta {
namespace {

bool is_thread(const std::string& name) {
  return name.size() > 3 && name.starts_with("cpu") &&
         std::all_of(name.begin() + 3, name.end(),
                     [](unsigned char letter) { return std::isdigit(letter) != 0; });
}

}  // namespace

Processors find_processors(const std::filesystem::path& system) {
  std::set<std::string> cores;
  Processors found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(system, ignored)) {
    if (!is_thread(entry.path().filename().string())) {
      continue;
    }
    // A thread that is switched off has no topology.
    if (const auto siblings = read_file(entry.path() / "topology" / "thread_siblings_list"); siblings.ok()) {
      cores.insert(*siblings);
      ++found.threads;
    }
  }
  found.cores = static_cast<int>(cores.size());
  return found;
}

}  // namespace regatta
