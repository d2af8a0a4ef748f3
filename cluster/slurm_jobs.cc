// The clients' outputs that scripts may rely on: `sbatch --parsable`, `scontrol show job -o`.
#include "cluster/slurm_jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <sstream>

#include "cluster/client_program.h"

namespace regatta {
namespace {

constexpr Microseconds kAskLimit{std::chrono::seconds(30)};
// Asked while crews wait to be told to save, and the study's lock to be renewed.
constexpr Microseconds kJobLimit{std::chrono::seconds(5)};

// The value of " KEY=" up to the next blank; "(null)", "None", "N/A" and "Unknown" are empty.
std::string field(const std::string& line, const std::string& key) {
  std::size_t begin = line.starts_with(key + "=") ? 0 : line.find(" " + key + "=");
  if (begin == std::string::npos) {
    return "";
  }
  begin = line.find('=', begin) + 1;
  const std::size_t end = line.find_first_of(" \n", begin);
  std::string value = line.substr(begin, end == std::string::npos ? std::string::npos : end - begin);
  const bool empty = value == "(null)" || value == "None" || value == "N/A" || value == "Unknown";
  return empty ? "" : value;
}

std::optional<std::int64_t> digits(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && number >= 0 ? std::optional(number) : std::nullopt;
}

// "2026-11-21T21:35:09" of this host's local time, in which Slurm's clients print: on a day when the clocks
// change only the time zone tells how long it is.
std::optional<std::int64_t> parse_slurm_time(const std::string& text) {
  std::tm time{};
  const char* const rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  time.tm_isdst = -1;  // to be found out
  return rest == nullptr || *rest != '\0' ? std::nullopt : std::optional<std::int64_t>(std::mktime(&time));
}

}  // namespace

std::optional<SlurmJob> parse_job(const std::string& line) {
  SlurmJob job{.id = field(line, "JobId"),
               .state = field(line, "JobState"),
               .reason = field(line, "Reason"),
               .nodes = field(line, "NodeList"),
               .run_time = field(line, "RunTime"),
               .time_limit = field(line, "TimeLimit"),
               .start_time = field(line, "StartTime"),
               .end_time = field(line, "EndTime"),
               .requeueable = field(line, "Requeue") == "1",
               .preempted = !field(line, "PreemptTime").empty()};
  return job.id.empty() || job.state.empty() ? std::nullopt : std::optional(job);
}

std::optional<std::int64_t> parse_slurm_seconds(const std::string& text) {
  std::string_view rest = text;
  std::int64_t days = 0;
  const std::size_t dash = rest.find('-');
  if (dash != std::string_view::npos) {
    const auto number = digits(rest.substr(0, dash));
    if (!number) {
      return std::nullopt;
    }
    days = *number;
    rest.remove_prefix(dash + 1);
  }
  std::int64_t total = 0;
  while (true) {
    const std::size_t colon = rest.find(':');
    const auto number = digits(rest.substr(0, colon));
    if (!number) {
      return std::nullopt;
    }
    total = total * 60 + *number;
    if (colon == std::string_view::npos) {
      return days * 86400 + total;
    }
    rest.remove_prefix(colon + 1);
  }
}

// Both ends of the job's time are Slurm's own, so no other clock has part in this. They bound a preempted job
// only: of another one that was suspended they tell too much, since its running time leaves that out.
std::optional<std::int64_t> seconds_left(const SlurmJob& job) {
  const auto run = parse_slurm_seconds(job.run_time);
  if (!run || !job.is_running()) {
    return std::nullopt;
  }
  std::optional<std::int64_t> total = parse_slurm_seconds(job.time_limit);
  const auto begin = parse_slurm_time(job.start_time);
  const auto end = parse_slurm_time(job.end_time);
  if (job.preempted && begin && end && *end > *begin) {
    total = std::min(total.value_or(*end - *begin), *end - *begin);
  }
  return total ? std::optional(*total - *run) : std::nullopt;
}

std::optional<std::int64_t> parse_kill_wait(const std::string& config) {
  const std::size_t key = config.find("KillWait ");
  const std::size_t number = key == std::string::npos ? key : config.find_first_of("0123456789\n", key);
  return number == std::string::npos
             ? std::nullopt
             : digits(config.substr(number, config.find_first_of(" \n", number) - number));
}

std::optional<std::int64_t> find_kill_wait() {
  const auto config = ask_client({"scontrol", "show", "config"}, kJobLimit);
  return config.ok() ? parse_kill_wait(*config) : std::nullopt;
}

Result<std::optional<SlurmJob>> find_job(const std::string& id) {
  ASSIGN_OR_RETURN(const ClientOutput asked, run_client({"scontrol", "show", "job", "-o", id}, kJobLimit));
  if (asked.code == 0) {
    return parse_job(asked.output);
  }
  if (asked.errors.find("Invalid job id") != std::string::npos) {
    return std::optional<SlurmJob>();
  }
  return failure(fmt::format("Slurm does not tell of job {}: {}", id, asked.errors));
}

Result<std::vector<std::string>> node_addresses(const std::string& node_list) {
  ASSIGN_OR_RETURN(const std::string text,
                   ask_client({"scontrol", "show", "node", "-o", node_list}, kAskLimit));
  std::vector<std::string> addresses;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (const std::string address = field(line, "NodeAddr"); !address.empty()) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

Result<std::string> submit_script(const std::filesystem::path& script,
                                  const std::vector<std::string>& options) {
  std::vector<std::string> command{"sbatch", "--parsable"};
  command.insert(command.end(), options.begin(), options.end());
  command.push_back(script.string());
  ASSIGN_OR_RETURN(const ClientOutput done, run_client(command, kAskLimit));
  // "12" or "12;cluster".
  const std::string id = done.output.substr(0, done.output.find_first_of(";\n"));
  if (done.code != 0 || !digits(id)) {
    return user_mistake(fmt::format("Slurm does not take the job: {}{}", done.errors, done.output));
  }
  return id;
}

Status requeue_job(const std::string& id) {
  const auto done = ask_client({"scontrol", "requeue", id}, kAskLimit);
  return done.ok() ? Status() : Status(done.error());
}

}  // namespace regatta
