// Messages: one that was accepted is of a known kind and, sent again, arrives equal.
#include "protocol/framing.h"

#include <google/protobuf/stubs/logging.h>

#include <cmath>

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

// As bytes, because a metric may be NaN.
template <class Message, class Parse>
void check_resent(const Message& message, Parse parse) {
  const std::string bytes = message.SerializeAsString();
  const auto again = parse(bytes);
  CHECK(again, message.ShortDebugString());
  CHECK(again->what_case() == message.what_case(), message.ShortDebugString());
  CHECK(again->SerializeAsString() == bytes, message.ShortDebugString());
}

void check_from_crew(std::string_view bytes) {
  const auto message = parse_from_crew(bytes);
  if (!message) {
    return;
  }
  CHECK(message->what_case() != wire::FromCrew::WHAT_NOT_SET);
  CHECK(!message->has_attempt_finished() ||
        wire::AttemptFinished::Outcome_IsValid(message->attempt_finished().outcome()));
  check_resent(*message, parse_from_crew);
}

void check_to_crew(std::string_view bytes) {
  const auto message = parse_to_crew(bytes);
  if (!message) {
    return;
  }
  CHECK(message->what_case() != wire::ToCrew::WHAT_NOT_SET);
  check_resent(*message, parse_to_crew);
}

void check_name(std::string_view name) {
  if (is_crew_name(name)) {
    CHECK(!name.empty() && name.size() <= 64, name);
    CHECK(name.find_first_of(std::string_view("/\\\n\0 ", 5)) == std::string_view::npos, name);
  }
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  std::vector<wire::FromCrew> from(7);
  auto* const hello = from[0].mutable_hello();
  hello->set_protocol_version(1);
  hello->set_program_version("0.1.0");
  hello->set_host("node-1");
  hello->set_process_id(4711);
  hello->set_ranks(2);
  hello->add_attempts(300);
  from[1].mutable_heartbeat();
  from[2].mutable_lane_free()->set_lanes(3);
  auto* const report = from[3].mutable_report();
  report->set_attempt(7);
  report->set_epoch(3);
  report->add_metrics()->set_name("loss");
  report->mutable_metrics(0)->set_value(std::nan(""));
  report->set_checkpoint("checkpoints/0-3.safetensors");
  report->set_seconds(0.5);
  from[4].mutable_attempt_finished()->set_outcome(wire::AttemptFinished::LOST);
  from[4].mutable_attempt_finished()->set_message("\xff");
  from[5].mutable_evaluation_done()->set_model("best.safetensors");
  from[6].mutable_goodbye()->set_reason("done");
  std::vector<wire::ToCrew> to(5);
  to[0].mutable_welcome()->set_experiment_yaml("objective: {minimize: loss}\n");
  to[0].mutable_welcome()->set_heartbeat_ms(1000);
  to[1].mutable_start_attempt()->add_point(0.25);
  to[1].mutable_start_attempt()->add_point(std::nan(""));
  to[2].mutable_answer_report()->set_go_on(true);
  to[3].mutable_end_attempt()->set_reason("stopped");
  to[4].mutable_introduce();
  std::vector<std::string> inputs = {"", "crew-0.2", std::string(65, 'a'), "\xba\x3e"};
  for (const auto& message : from) {
    inputs.push_back(message.SerializeAsString());
  }
  for (const auto& message : to) {
    inputs.push_back(message.SerializeAsString());
  }
  return inputs;
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  google::protobuf::SetLogHandler(nullptr);  // it complains of every text that is not UTF-8
  const std::string_view bytes = regatta::fuzz::text_of(data, size);
  regatta::check_from_crew(bytes);
  regatta::check_to_crew(bytes);
  regatta::check_name(bytes);
  return 0;
}
