// Bytes to messages and back. Everything that comes from outside passes through here first: what these
// functions accept, the rest of the program may rely on.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/messages.pb.h"

namespace regatta {

// Larger messages are refused by the sockets. An experiment file is the largest thing that is sent.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{4} << 20;

// nullopt: not a message, or one whose kind this version does not know.
std::optional<wire::FromCrew> parse_from_crew(std::string_view bytes);
std::optional<wire::ToCrew> parse_to_crew(std::string_view bytes);

// 1 to 64 letters, digits, '-', '_' and '.': names stand in logs, files and the store.
bool is_crew_name(std::string_view name);

}  // namespace regatta
