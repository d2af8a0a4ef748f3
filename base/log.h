// Where messages for the operator go. Use spdlog::info, warn and error; standard output stays free for
// results.
#pragma once

#include <spdlog/spdlog.h>

#include <filesystem>
#include <string>

namespace regatta {

struct LogOptions {
  spdlog::level::level_enum level = spdlog::level::info;
  std::string name;            // shown in each line, e.g. "crew 3"; empty: not shown
  std::filesystem::path file;  // empty: standard error
};

// Sets the process's default logger; call once, before other threads start.
void set_up_log(const LogOptions& options);

}  // namespace regatta
