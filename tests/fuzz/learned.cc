// What a study's file says of earlier studies: a text that was accepted holds ended trials only, and encoded
// again it decodes to the same.
#include "coordinator/learned.h"

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {

std::vector<std::string> fuzz::seeds() {
  const EarlierStudy study{
      .trials =
          {{.number = 0,
            .point = {0.1, std::nullopt, 1e-300},
            .state = TrialState::complete,
            .scores = {{.epoch = 1, .values = {0.5, 2}}, {.epoch = 3, .values = {0.25, 1}}},
            .values = {0.25, 1}},
           {.number = 1, .point = {0.2, 3, 1}, .state = TrialState::failed, .scores = {}, .values = {}}},
      .outside = 2};
  return {"",
          "[]",
          R"([{"outside": 1e300, "trials": []}])",
          R"([{"outside": 0, "trials": [["running", [1], [], []]]}])",
          R"([{"outside": 0, "trials": [["stopped", [true], [[18446744073709551615, [1]]], []]]}])",
          std::string(100'000, '['),
          encode_learned({study}),
          encode_learned({study, EarlierStudy{}})};
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const auto studies = decode_learned(std::string(fuzz::text_of(data, size)));
  if (!studies.ok()) {
    CHECK(studies.error().message.starts_with("what the study has learned"), studies.error().message);
    return 0;
  }
  for (const EarlierStudy& study : *studies) {
    CHECK(study.outside >= 0);
    for (const Trial& trial : study.trials) {
      CHECK(has_ended(trial.state), to_string(trial.state));
    }
  }
  const std::string encoded = encode_learned(*studies);
  const auto again = decode_learned(encoded);
  CHECK(again.ok(), again.error().message);
  CHECK(encode_learned(*again) == encoded, encoded);
  return 0;
}
