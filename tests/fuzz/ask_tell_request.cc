// Requests of an ask-tell client: one that was accepted and is written out again reads back equal, and every
// answer is one JSON object on one line.
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/ask_tell_dialogue.h"
#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

const Experiment& experiment() {
  static const Experiment kExperiment =
      parse_experiment(
          "objective: {minimize: loss}\nsearch: {scheduler: {type: asha, max_epochs: 9}, stop: {trials: 5}}\n"
          "space: {x: {float: [0, 1]}, kind: {choice: [a, 1, true]}}\n",
          "exp.yaml")
          .value();
  return kExperiment;
}

nlohmann::json answer_of(AskTellDialogue& dialogue, std::string_view line) {
  const std::string answer = dialogue.answer(line).line;
  CHECK(answer.find('\n') == std::string::npos, answer);
  auto json = nlohmann::json::parse(answer, nullptr, /*allow_exceptions=*/false);
  CHECK(json.is_object() && !json.empty(), answer);
  return json;
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {
      R"({"ask": 1})",
      R"({"ask": 3})",
      R"({"report": 0, "epoch": 1, "value": 0.4})",
      R"({"report": 0, "epoch": 1, "values": [0.4, NaN]})",
      R"({"tell": 0, "value": 0.3})",
      R"({"tell": 0, "value": "nan"})",
      R"({"tell": 1, "value": null})",
      R"({"tell": 1, "values": [-Infinity, 1e300]})",
      R"({"tell": 2, "invalid": true})",
      R"({"open": true})",
      R"({"best": true})",
      R"({"ask": 1e9, "ask": 1})",
      R"({"ask": "\ud800"})",
      R"([{"ask": 1}])",
      "{\"tell\": 0, \"value\": " + std::string(200'000, '[') + std::string(200'000, ']') + "}",
      std::string(200'000, '{'),
      "",
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string_view line = fuzz::text_of(data, size);
  const auto request = parse_request(line);
  if (request.ok()) {
    const std::string written = request_line(*request);
    const auto again = parse_request(written);
    CHECK(again.ok() && again->index() == request->index(), written);
    CHECK(request_line(*again) == written, written);
  } else {
    CHECK(request.error().kind == Error::Kind::user_mistake, request.error().message);
  }
  // A mistake changes nothing: with and without it, what follows is answered alike.
  const SearchConfig config = read_search(experiment()).value();
  AskTellDialogue plain(experiment(), config);
  AskTellDialogue disturbed(experiment(), config);
  CHECK(answer_of(plain, R"({"ask": 2})") == answer_of(disturbed, R"({"ask": 2})"));
  if (answer_of(disturbed, line).contains("error")) {
    for (const char* next : {R"({"report": 0, "epoch": 1, "value": 0.5})", R"({"ask": 5})",
                             R"({"tell": 1, "value": 1})", R"({"open": true})", R"({"best": true})"}) {
      CHECK(answer_of(plain, next) == answer_of(disturbed, next), next);
    }
  }
  return 0;
}
