// A crew that joins a running study from outside: what it finds in the study's folder, and its name there.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

// Until a coordinator is there that this host can reach; it may be between two jobs. False: the study has
// ended. Says on standard error what it waits for. Refuses a coordinator on another host that listens on its
// loopback interface only.
Result<bool> await_coordinator(const std::filesystem::path& study,
                               Microseconds limit = std::chrono::minutes(10));

// "guest-HOST-PROCESS", never used before in this study; its log has been made.
Result<std::string> claim_guest_name(const std::filesystem::path& study);

}  // namespace regatta
