// spdlog's default logger with the project's line format.
#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace regatta {

void set_up_log(const LogOptions& options) {
  spdlog::sink_ptr sink;
  if (options.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file.string());
  }
  auto logger = std::make_shared<spdlog::logger>(options.name, std::move(sink));
  logger->set_level(options.level);
  logger->set_pattern(options.name.empty() ? "%H:%M:%S %^%l%$ %v" : "%H:%M:%S %^%l%$ [%n] %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace regatta
