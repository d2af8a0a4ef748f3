// Stored events: one that was accepted says what the stored body says, and encoded again decodes equal. The
// input is the kind, a line end and the body.
#include "coordinator/events.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

std::string joined(const EncodedEvent& event) { return event.kind + "\n" + event.body; }

// Whatever else the body holds, no value became another one on its way in.
void check_kept(const std::string& before, const std::string& after) {
  const auto stored = nlohmann::json::parse(before);
  const auto encoded = nlohmann::json::parse(after);
  for (const auto& [key, value] : encoded.items()) {
    if (key != "point" && key != "metrics") {  // lists may be given as objects, pairs may have more
      CHECK(stored.at(key) == value, key);
    }
  }
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  const std::vector<Event> events = {
      TrialProposed{.trial = 3, .point = {0.1, std::nullopt, 1e-300}, .bracket = 2},
      AttemptStarted{.attempt = 7, .trial = 3, .crew = "c", .until_epoch = 9, .checkpoint = "t3/e1"},
      Reported{.attempt = 7,
               .trial = 3,
               .epoch = 2,
               .metrics = {{"b", 1}, {"a", std::numeric_limits<double>::infinity()}},
               .checkpoint = "x",
               .seconds = std::numeric_limits<double>::quiet_NaN()},
      AttemptEnded{.attempt = 7, .trial = 3, .outcome = Outcome::preempted, .message = "\"quoted\"\n"},
      TestMeasured{.trial = 3, .metrics = {{"accuracy", 0.9}}, .model = "best.safetensors"},
      StudyEnded{.reason = StudyEnded::Reason::time_over, .message = "m"},
      StudyResumed{.retry_failed = true},
      SearchClosed{.exhausted = true},
      SearchReopened{}};
  std::vector<std::string> inputs = {"", "trial_cloned\n{}", "search_closed\n" + std::string(100'000, '[')};
  for (const Event& event : events) {
    inputs.push_back(joined(encode(event)));
  }
  return inputs;
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string_view input = fuzz::text_of(data, size);
  const std::size_t end = std::min(input.find('\n'), input.size());
  const EncodedEvent stored{.kind = std::string(input.substr(0, end)),
                            .body = std::string(input.substr(std::min(end + 1, input.size())))};
  const auto event = decode(stored);
  if (!event.ok()) {
    CHECK(event.error().message.find("'" + stored.kind + "'") != std::string::npos, event.error().message);
    return 0;
  }
  const EncodedEvent encoded = encode(*event);
  CHECK(encoded.kind == stored.kind, encoded.kind);
  check_kept(stored.body, encoded.body);
  const auto again = decode(encoded);
  CHECK(again.ok(), again.error().message);
  CHECK(again->index() == event->index());
  CHECK(joined(encode(*again)) == joined(encoded), encoded.body);
  return 0;
}
