// Whether other hosts reach this one: it listens for a moment, they connect and must hear the right word.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

// What distinguishes this process from all others, on this host and on others.
std::string process_token();

// Says process_token() to whoever connects. Not thread-safe.
class ReachListener {
 public:
  // On a free port of each address, of which there may be none. Fails where this host does not have an
  // address.
  static Result<std::unique_ptr<ReachListener>> open(const std::vector<std::string>& addresses);
  ~ReachListener();
  ReachListener(const ReachListener&) = delete;
  ReachListener& operator=(const ReachListener&) = delete;

  const std::vector<std::string>& endpoints() const { return endpoints_; }  // "10.0.0.1:40123", by address
  // Answers those that have connected; waits up to the limit for the first.
  void serve(Microseconds limit);

 private:
  ReachListener() = default;
  std::vector<int> sockets_;
  std::vector<std::string> endpoints_;
};

// Whether the process that says `token` is reached at `endpoint` within the limit.
bool reaches(const std::string& endpoint, const std::string& token, Microseconds limit);

}  // namespace regatta
