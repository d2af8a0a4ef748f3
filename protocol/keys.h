// The study's CURVE keys and where its coordinator listens. Both stand as files in the study's folder,
// readable by the owner only: who cannot read the folder cannot join.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace regatta {

// Z85 texts, 40 characters each (ZeroMQ RFC 26, CurveZMQ).
struct StudyKeys {
  std::string server_public;
  std::string server_secret;
  std::string client_public;
  std::string client_secret;
};

// keys.json, mode 0600. Made once for a study: keys that are there are returned, since running crews hold
// them.
Result<StudyKeys> make_keys(const std::filesystem::path& folder);
Result<StudyKeys> read_keys(const std::filesystem::path& folder);

// coordinator.json: rewritten by every session of the coordinator, read again by crews that lost it.
struct CoordinatorAddress {
  std::string endpoint;  // "tcp://127.0.0.1:40123"
  std::string host;
  long process_id = 0;
};
Status write_address(const std::filesystem::path& folder, const CoordinatorAddress& address);
Result<CoordinatorAddress> read_address(const std::filesystem::path& folder);

}  // namespace regatta
