// Starts them, and tells how each ended from its exit status and the end of its log.
#include "cluster/crew_processes.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReasonLines = 5;
constexpr std::streamoff kReasonBytes = 4096;
constexpr Microseconds kKillLimit{std::chrono::seconds(5)};

// mpirun frames its words with lines of dashes.
bool says_something(const std::string& line) {
  return line.find_first_not_of("-= \t\r") != std::string::npos;
}

// The last lines that were written to `log` after its first `start` bytes.
std::string last_words(const fs::path& log, std::uintmax_t start) {
  std::ifstream stream(log, std::ios::binary);
  stream.seekg(0, std::ios::end);
  const auto end = static_cast<std::streamoff>(stream.tellg());
  stream.seekg(std::max(static_cast<std::streamoff>(start), end - kReasonBytes));
  std::deque<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (says_something(line)) {
      lines.push_back(std::move(line));
    }
    if (lines.size() > kReasonLines) {
      lines.pop_front();
    }
  }
  return fmt::format("{}", fmt::join(lines, "\n  "));
}

// By rank; slots keep their own.
std::string cpus_of(const CrewSpec& crew, const Resources& resources) {
  std::vector<std::string> ranks;
  for (const int slot : crew.slots) {
    for (const CpuSet& rank : resources.cpus[static_cast<std::size_t>(slot)]) {
      ranks.push_back(format_cpus(rank));
    }
  }
  return fmt::format("{}", fmt::join(ranks, "/"));
}

bool on_cards(const CrewSpec& crew, const Resources& resources) {
  const auto has_cards = [&](int slot) {
    return std::ranges::any_of(resources.places.at(static_cast<std::size_t>(slot)),
                               [](const PlacedRanks& part) { return !part.cards.empty(); });
  };
  return resources.places.empty() ? resources.on_cards() : std::ranges::any_of(crew.slots, has_cards);
}

}  // namespace

std::vector<std::string> worker_command(const CrewSpec& crew, const Resources& resources,
                                        const fs::path& program) {
  std::vector<std::string> command = {program.string(), "worker",
                                      "--study",        fs::absolute(crew.folder).string(),
                                      "--crew",         crew.name,
                                      "--threads",      std::to_string(resources.threads),
                                      "--lanes",        std::to_string(resources.lanes)};
  if (!resources.cpus.empty()) {
    command.insert(command.end(), {"--cpus", cpus_of(crew, resources)});
  }
  if (!resources.bind) {
    command.emplace_back("--bind-none");
  }
  if (crew.slots.size() > 1) {
    command.insert(command.end(), {"--slots", fmt::format("{}", fmt::join(crew.slots, ","))});
  }
  if (on_cards(crew, resources)) {
    command.insert(command.end(), {"--ranks-per-gpu", std::to_string(resources.ranks_per_gpu)});
  }
  if (resources.trace) {
    command.insert(command.end(), {"--trace", (fs::absolute(crew.folder) / "traces").string()});
  }
  return command;
}

int ranks_of(const CrewSpec& crew, const Resources& resources) {
  return static_cast<int>(crew.slots.size()) * resources.ranks;
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, end)) / program;
    if (::access(candidate.c_str(), X_OK) == 0) {
      return true;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

Status CrewProcesses::start(const CrewSpec& crew, CrewCommand command) {
  CHECK(!running_.contains(crew.name), crew.name);
  RETURN_IF_ERROR(make_directories(crew.log.parent_path()));
  std::error_code absent;
  const std::uintmax_t log_start = fs::exists(crew.log, absent) ? fs::file_size(crew.log, absent) : 0;
  ASSIGN_OR_RETURN(Process process, Process::start({.command = std::move(command.command),
                                                    .variables = std::move(command.variables),
                                                    .removed_prefixes = std::move(command.removed_prefixes),
                                                    .output = crew.log,
                                                    .own_session = true}));
  spdlog::debug("started {} as process {}, log {}", crew.name, process.id(), crew.log.string());
  running_.emplace(crew.name, Running{std::move(process), crew.log, log_start});
  return {};
}

std::vector<CrewExit> CrewProcesses::poll() {
  collect_exits();
  return std::exchange(exits_, {});
}

std::optional<long> CrewProcesses::process_of(const std::string& crew) const {
  const auto found = running_.find(crew);
  return found == running_.end() ? std::nullopt : std::optional<long>(found->second.process.id());
}

void CrewProcesses::signal_all(int number) {
  for (auto& [name, crew] : running_) {
    crew.process.signal(number);
  }
}

void CrewProcesses::wait_for_all(Microseconds limit) {
  const Deadline deadline(clock_, limit);
  for (auto& [name, crew] : running_) {
    (void)crew.process.wait_for(deadline.remaining());
  }
  collect_exits();
}

void CrewProcesses::kill_all() {
  for (auto& [name, crew] : running_) {
    crew.process.kill();
  }
  for (auto& [name, crew] : running_) {
    (void)crew.process.wait_for(kKillLimit);
  }
  collect_exits();
}

CrewExit CrewProcesses::describe_exit(const std::string& name, const Running& crew,
                                      const ExitStatus& status) {
  CrewExit ended{.name = name, .clean = status.success()};
  ended.reason = fmt::format("{}: {}", name, status.describe());
  if (!status.success()) {
    if (const std::string words = last_words(crew.log, crew.log_start); !words.empty()) {
      ended.reason += fmt::format("; the end of {}:\n  {}", crew.log.string(), words);
    }
  }
  return ended;
}

void CrewProcesses::collect_exits() {
  for (auto crew = running_.begin(); crew != running_.end();) {
    if (const auto status = crew->second.process.poll()) {
      exits_.push_back(describe_exit(crew->first, crew->second, *status));
      crew = running_.erase(crew);
    } else {
      ++crew;
    }
  }
}

}  // namespace regatta
