// One ZeroMQ message part holds one protobuf message; ZeroMQ delimits them.
#include "protocol/framing.h"

#include <algorithm>

namespace regatta {
namespace {

template <class Message>
std::optional<Message> parse(std::string_view bytes) {
  Message message;
  if (bytes.size() > kMaxMessageBytes ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      message.what_case() == Message::WHAT_NOT_SET) {
    return std::nullopt;
  }
  return message;
}

}  // namespace

std::optional<wire::FromCrew> parse_from_crew(std::string_view bytes) {
  auto message = parse<wire::FromCrew>(bytes);
  // proto3 enums are open: a number without a name would reach code that switches over all names.
  if (message && message->has_attempt_finished() &&
      !wire::AttemptFinished::Outcome_IsValid(message->attempt_finished().outcome())) {
    return std::nullopt;
  }
  return message;
}

std::optional<wire::ToCrew> parse_to_crew(std::string_view bytes) { return parse<wire::ToCrew>(bytes); }

bool is_crew_name(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  return !name.empty() && name.size() <= kLongest && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace regatta
