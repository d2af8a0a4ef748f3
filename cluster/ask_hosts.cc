// One process a host, all at once, polled until the last has answered or the limit has passed.
#include "cluster/ask_hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "base/process.h"
#include "base/progress.h"
#include "base/seconds.h"
#include "base/text.h"
#include "cluster/network.h"

namespace regatta {
namespace {

constexpr Microseconds kPoll{5000};
constexpr const char* kDefaultAgent = "ssh";
constexpr int kNotFound = 127;  // a shell's word for a command that is not there
constexpr int kNotExecutable = 126;

std::string quoted_for_shell(const std::string& word) {
  std::string quoted = "'";
  for (const char letter : word) {
    quoted += letter == '\'' ? "'\\''" : std::string(1, letter);
  }
  return quoted + "'";
}

std::string last_line(const std::string& text) {
  std::istringstream lines(text);
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) {
      last = line;
    }
  }
  return last;
}

struct Asked {
  Process process;
  std::filesystem::path output;
  bool directly = false;
};

std::string describe_failure(const std::string& host, const ExitStatus& status, const std::string& output,
                             const AskOptions& options) {
  if (status.code == kNotFound || status.code == kNotExecutable) {
    return fmt::format(
        "host {} has no program {}: install regatta there under the same path, or on a file system that all "
        "hosts "
        "share",
        host, options.program.string());
  }
  const std::string agent = options.agent.empty() ? kDefaultAgent : options.agent;
  const std::string said = last_line(output);
  return fmt::format(
      "host {} is not reached: `{} {}` {}{}{}: check its name, and that the agent starts commands there "
      "without a "
      "password (resources.agent)",
      host, agent, host, status.describe(), said.empty() ? "" : ", saying ", said);
}

std::string describe_silence(const std::string& host, const AskOptions& options) {
  return fmt::format(
      "host {} has not answered `{}` within {}: check that it is up and can be reached, or leave it "
      "out",
      host, options.agent.empty() ? kDefaultAgent : options.agent,
      format_duration(in_seconds(options.limit)));
}

void note_end(HostReport& report, const Asked& asked, const ExitStatus& status, const AskOptions& options) {
  const std::string output = read_file(asked.output).ok() ? *read_file(asked.output) : "";
  report.answer = find_answer(output);
  if (!report.answer) {
    report.trouble = describe_failure(report.host.name, status, output, options);
  }
}

Result<Asked> ask(const HostSlots& host, const AskOptions& options, const std::filesystem::path& output) {
  std::vector<std::string> command{options.program.string()};
  const auto arguments = probe_arguments(options.question);
  command.insert(command.end(), arguments.begin(), arguments.end());
  const bool directly = is_this_host(host.name);
  auto process =
      Process::start({.command = directly ? command : agent_command(options.agent, host.name, command),
                      .variables = {},
                      .removed_prefixes = {},
                      .directory = {},
                      .output = output,
                      .own_session = true});  // ssh finds no terminal to ask for a password
  if (!process.ok()) {
    return user_mistake(fmt::format("{}: {}", process.error().message,
                                    directly
                                        ? "is this program still there?"
                                        : "resources.agent names the program that starts commands on other "
                                          "hosts"));
  }
  return Asked{.process = std::move(process).value(), .output = output, .directly = directly};
}

std::string describe_unreachable(const std::string& host, const std::string& address) {
  return fmt::format(
      "host {} does not reach the coordinator at {}: let its connections through the firewall of this host, "
      "or name "
      "a network that both are in as resources.interface",
      host, address);
}

}  // namespace

std::vector<std::string> agent_command(const std::string& agent, const std::string& host,
                                       const std::vector<std::string>& command) {
  std::vector<std::string> words;
  if (agent.empty()) {
    words = {kDefaultAgent, "-o", "BatchMode=yes", "-o", "ConnectTimeout=8"};
  }
  std::istringstream stream(agent);
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  words.push_back(host);
  std::string line;
  for (const std::string& word : command) {
    line += (line.empty() ? "" : " ") + quoted_for_shell(word);
  }
  words.push_back(line);
  return words;
}

Result<std::vector<HostReport>> ask_hosts(const std::vector<HostSlots>& hosts, const AskOptions& options,
                                          ReachListener& listener) {
  ASSIGN_OR_RETURN(const TemporaryDirectory folder, TemporaryDirectory::make());
  const SystemClock clock;
  const Deadline deadline(clock, options.limit);
  const Microseconds began = clock.monotonic();
  std::vector<HostReport> reports;
  std::vector<std::optional<Asked>> asked(hosts.size());
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    reports.push_back({.host = hosts[i], .answer = {}, .seconds = 0, .trouble = {}});
    ASSIGN_OR_RETURN(Asked one, ask(hosts[i], options, folder.path() / std::to_string(i)));
    asked[i].emplace(std::move(one));
  }
  std::size_t waiting = hosts.size();
  while (waiting > 0 && !deadline.passed()) {
    listener.serve(kPoll);
    note_progress();
    for (std::size_t i = 0; i < asked.size(); ++i) {
      if (const auto status = asked[i] ? asked[i]->process.poll() : std::nullopt) {
        reports[i].seconds = in_seconds(clock.monotonic() - began);
        note_end(reports[i], *asked[i], *status, options);
        asked[i].reset();
        --waiting;
      }
    }
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (asked[i]) {
      reports[i].trouble = describe_silence(hosts[i].name, options);
    }
  }
  return reports;
}

std::string judge(std::vector<HostReport>& reports, const Expectation& expected) {
  const auto reached_by = [&](std::size_t address) {
    return std::ranges::count_if(reports, [&](const HostReport& report) {
      return report.answer && address < report.answer->reaches.size() && report.answer->reaches[address];
    });
  };
  std::size_t best = 0;
  for (std::size_t address = 1; address < expected.addresses.size(); ++address) {
    best = reached_by(address) > reached_by(best) ? address : best;
  }
  const std::string address = expected.addresses.empty() ? "" : expected.addresses[best];
  for (HostReport& report : reports) {
    if (!report.answer || !report.trouble.empty()) {
      continue;
    }
    const ProbeAnswer& answer = *report.answer;
    const std::string& host = report.host.name;
    if (answer.version != expected.version) {
      report.trouble = fmt::format("host {} has regatta {}, this one {}: install the same on all hosts", host,
                                   answer.version, expected.version);
    } else if (!answer.sees_file) {
      report.trouble = fmt::format(
          "host {} does not see {}: the study's folder must be on a file system that all hosts share, under "
          "the same "
          "path (--runs-dir)",
          host, expected.folder.string());
    } else if (!answer.no_interface.empty()) {
      report.trouble = fmt::format("resources.interface: {}", answer.no_interface);
    } else if (best < answer.reaches.size() && !answer.reaches[best]) {
      report.trouble = describe_unreachable(host, address);
    }
  }
  return address;
}

}  // namespace regatta
