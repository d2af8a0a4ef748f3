// Between the study's words and the wire's.
#pragma once

#include <optional>
#include <string>

#include "coordinator/study.h"
#include "protocol/messages.pb.h"

namespace regatta {

// What a message of `crew` tells the study; nullopt for those that concern the connection only (Hello,
// Goodbye, and heartbeats, which are CrewHeard, are the server's).
std::optional<Input> input_from(const std::string& crew, const wire::FromCrew& message);

// What goes over the wire for a command, and to whom; nullopt for those that are carried out here.
struct Outgoing {
  std::string crew;
  wire::ToCrew message;
};
std::optional<Outgoing> outgoing_from(const Command& command);

}  // namespace regatta
