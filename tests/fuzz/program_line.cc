// Lines of a trial's program: a report that was accepted, written as Python would, reads back equal.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"
#include "worker/program_protocol.h"

namespace regatta {
namespace {

std::string written(const ProgramReport& report) {
  std::string line = "{\"epoch\": " + std::to_string(report.epoch);
  for (const auto& [name, value] : report.metrics) {
    const std::string number = std::isnan(value) ? "NaN" : nlohmann::json(value).dump();
    line += ", " + nlohmann::json(name).dump() + ": " + number;
  }
  return line + "}";
}

void check_same(const ProgramReport& a, const ProgramReport& b) {
  CHECK(a.epoch == b.epoch && a.metrics.size() == b.metrics.size());
  for (std::size_t i = 0; i < a.metrics.size(); ++i) {
    const double one = a.metrics[i].second;
    const double other = b.metrics[i].second;
    CHECK(a.metrics[i].first == b.metrics[i].first, a.metrics[i].first);
    CHECK(one == other || (std::isnan(one) && std::isnan(other)), a.metrics[i].first);
  }
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {
      "epoch 3: loss 0.41",
      R"({"epoch": 3, "val_loss": 0.41, "val_accuracy": 0.87})",
      R"({"epoch": 1, "a": NaN, "b": -Infinity, "c": null, "NaN": 1, "d\"NaN\\": 2, "e": Infinity})",
      R"({"val": 1e300, "epoch": 2.0, "val": -0.0, "note": "ok", "list": [1, {"x": 2}], "flag": true})",
      R"({"epoch": "3"})",
      R"({"epoch": [NaN, {"a": 1}]})",
      "{\"epoch\": 1, \"\\u00e9\\ud83d\\udea3\": 1, \"gr\xC3\xB6\xC3\x9F"
      "e\": 2}",
      "{\"epoch\": " + std::string(400'000, '[') + std::string(400'000, ']') + "}",
      std::string(400'000, '{'),
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string_view line = fuzz::text_of(data, size);
  const auto report = parse_program_line(line);
  if (!report.ok()) {
    CHECK(report.error().message.starts_with("the program reported the epoch "), report.error().message);
    return 0;
  }
  if (!*report) {
    return 0;
  }
  CHECK((*report)->epoch >= 1);
  const auto again = parse_program_line(written(**report));
  CHECK(again.ok() && *again, written(**report));
  check_same(**report, **again);
  return 0;
}
