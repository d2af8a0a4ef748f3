// stop.json in a study's folder: a request to the coordinator to save and end, which works from every host
// that sees the folder.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

struct StopRequest {
  std::string coordinator;  // the identity of its lock: a later one is not meant
  bool at_once = false;     // without saving
  std::string by;           // "ann on host login1"
};

Status write_stop_request(const std::filesystem::path& study, const StopRequest& request);
// nullopt: none, or none that can be read.
std::optional<StopRequest> read_stop_request(const std::filesystem::path& study);

// The coordinator's side: looks into the folder about once a second.
class StopRequests {
 public:
  // `coordinator`: the identity of this one's lock.
  StopRequests(std::filesystem::path study, std::string coordinator);
  // Removes the request that was obeyed.
  ~StopRequests();
  StopRequests(const StopRequests&) = delete;
  StopRequests& operator=(const StopRequests&) = delete;

  // The newest request to this coordinator; `now` of a monotonic clock.
  const std::optional<StopRequest>& look(Microseconds now);
  // As it was at the last look.
  const std::optional<StopRequest>& newest() const { return newest_; }

 private:
  std::filesystem::path study_;
  std::string coordinator_;
  std::optional<Microseconds> looked_;
  std::optional<StopRequest> newest_;
};

}  // namespace regatta
