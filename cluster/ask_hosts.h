// Asks all hosts at once whether crews can run on them, through the agent that will start the crews.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/host_probe.h"
#include "cluster/hosts.h"
#include "cluster/reach.h"

namespace regatta {

struct AskOptions {
  std::string agent;              // with its arguments; empty: ssh
  std::filesystem::path program;  // regatta, under this path on every host
  ProbeQuestion question;
  Microseconds limit = std::chrono::seconds(10);  // a host that has not answered by then is given up
};

struct HostReport {
  HostSlots host;
  std::optional<ProbeAnswer> answer;
  double seconds = 0;   // until the answer
  std::string trouble;  // why no crew can run there, with a remedy; empty: nothing is in the way
};

// The words that start `command` on another host. Without an agent they are ssh's, which must not ask.
std::vector<std::string> agent_command(const std::string& agent, const std::string& host,
                                       const std::vector<std::string>& command);

// A report for each host, in their order. This host is asked without the agent. `listener` answers those who
// try to reach this host. Fails where the agent itself cannot be started.
Result<std::vector<HostReport>> ask_hosts(const std::vector<HostSlots>& hosts, const AskOptions& options,
                                          ReachListener& listener);

struct Expectation {
  std::string version;                 // that all hosts must have
  std::filesystem::path folder;        // that they must see
  std::vector<std::string> addresses;  // of the coordinator, by endpoint
};

// Finds what is in the way of the hosts that have answered. Returns the first address that all of them reach,
// or the one that most do.
std::string judge(std::vector<HostReport>& reports, const Expectation& expected);

}  // namespace regatta
