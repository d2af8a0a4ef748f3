// JSON, with the three words that Python's json module adds to it.
#include "worker/program_protocol.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/python_json.h"
#include "base/text.h"

namespace regatta {

Result<std::optional<ProgramReport>> parse_program_line(std::string_view line) {
  if (!line.starts_with('{')) {
    return std::optional<ProgramReport>();
  }
  const auto json = nlohmann::ordered_json::parse(to_plain_json(line), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("epoch")) {
    return std::optional<ProgramReport>();
  }
  const auto& epoch = json["epoch"];
  const double number = epoch.is_number() ? epoch.get<double>() : 0;
  if (number < 1 || number > std::numeric_limits<int>::max() || number != std::floor(number)) {
    // Lists and maps are not quoted: one that is nested deeply enough would exhaust the stack.
    return failure(fmt::format("the program reported the epoch {}; expected a count from 1",
                               epoch.is_structured() ? epoch.type_name() : epoch.dump()));
  }
  ProgramReport report{.epoch = static_cast<int>(number)};
  for (const auto& [name, value] : json.items()) {
    if (name != "epoch" && (value.is_number() || value.is_null())) {
      report.metrics.emplace_back(name, value.is_null() ? std::nan("") : value.get<double>());
    }
  }
  return std::optional(std::move(report));
}

std::string answer_line(ProgramAnswer answer) {
  constexpr std::array<const char*, 3> kWords{"continue", "stop", "pause"};
  return fmt::format(R"({{"decision": "{}"}})", kWords[static_cast<std::size_t>(answer)]);
}

}  // namespace regatta
