// https://slurm.schedmd.com/sinfo.html, "OUTPUT FORMAT"; sbatch alone would let some of these wait for ever.
#include "cluster/partitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "cluster/client_program.h"
#include "cluster/slurm_jobs.h"

namespace regatta {
namespace {

constexpr Microseconds kAskLimit{std::chrono::seconds(30)};
constexpr const char* kFormat = "--format=%R|%D|%c|%m|%G|%l|%s|%P";
constexpr std::size_t kFields = 8;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// The number that a text begins with: sinfo writes "2000+" where nodes differ.
std::int64_t leading_number(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "gpu:a100:4(S:0-1),gpu:2,shard:8": only cards count.
int count_gpus(const std::string& resources) {
  int total = 0;
  for (std::string item : split(resources, ',')) {
    item = item.substr(0, item.find('('));
    if (item.starts_with("gpu:")) {
      total += static_cast<int>(leading_number(item.substr(item.rfind(':') + 1)));
    }
  }
  return total;
}

// Of "1-infinite", "1-4", "1".
std::optional<int> most_nodes(const std::string& job_size) {
  const std::string most = job_size.substr(job_size.find('-') + 1);
  return most == "infinite" ? std::nullopt : std::optional(static_cast<int>(leading_number(most)));
}

int cpus_a_node(const JobRequest& request) {
  return request.ntasks_per_node.value_or(1) * request.cpus_per_task.value_or(1);
}

// What nodes of this kind lack for the job, in words that follow "the job asks for".
std::optional<std::string> lack(const JobRequest& request, const NodeKind& kind) {
  if (kind.cpus < cpus_a_node(request)) {
    return fmt::format("{} CPUs a node ({} tasks of {}), but its nodes have at most {}", cpus_a_node(request),
                       request.ntasks_per_node.value_or(1), request.cpus_per_task.value_or(1), kind.cpus);
  }
  const std::int64_t memory = parse_memory_mb(request.memory).value_or(0);
  if (kind.memory_mb < memory) {
    return fmt::format("{} MB a node (--mem), but its nodes have at most {}", memory, kind.memory_mb);
  }
  if (kind.gpus < request.gpus_per_node.value_or(0)) {
    return fmt::format("{} GPUs a node, but its nodes have at most {}", *request.gpus_per_node, kind.gpus);
  }
  return std::nullopt;
}

// The largest of each, as if one node had them.
NodeKind best_of(const std::vector<NodeKind>& kinds) {
  NodeKind best;
  for (const NodeKind& kind : kinds) {
    best.cpus = std::max(best.cpus, kind.cpus);
    best.memory_mb = std::max(best.memory_mb, kind.memory_mb);
    best.gpus = std::max(best.gpus, kind.gpus);
  }
  return best;
}

// What the partition cannot give, in words that follow "the job asks for".
std::optional<std::string> refusal(const JobRequest& request, const Partition& partition) {
  if (partition.max_nodes && request.nodes > *partition.max_nodes) {
    return fmt::format("{} nodes, but a job may have at most {} there", request.nodes, *partition.max_nodes);
  }
  if (request.nodes > partition.nodes()) {
    return fmt::format("{} nodes, but it has {}", request.nodes, partition.nodes());
  }
  const auto seconds = parse_time_limit(request.time);
  if (seconds && partition.max_seconds && *seconds > *partition.max_seconds) {
    return fmt::format("{}, but a job may take at most {} there",
                       format_duration(static_cast<double>(*seconds)),
                       format_duration(static_cast<double>(*partition.max_seconds)));
  }
  if (auto lacks = lack(request, best_of(partition.kinds))) {
    return lacks;
  }
  int fitting = 0;
  for (const NodeKind& kind : partition.kinds) {
    fitting += lack(request, kind) ? 0 : kind.nodes;
  }
  return fitting < request.nodes
             ? std::optional(fmt::format("{} nodes with all that, but it has {}", request.nodes, fitting))
             : std::nullopt;
}

}  // namespace

int Partition::nodes() const {
  int total = 0;
  for (const NodeKind& kind : kinds) {
    total += kind.nodes;
  }
  return total;
}

std::vector<Partition> parse_partitions(const std::string& text) {
  std::vector<Partition> partitions;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> fields = split(line, '|');
    if (fields.size() != kFields) {
      continue;
    }
    auto partition = std::ranges::find(partitions, fields[0], &Partition::name);
    if (partition == partitions.end()) {
      partitions.push_back({.name = fields[0],
                            .is_default = fields[7].ends_with('*'),
                            .max_seconds = parse_slurm_seconds(fields[5]),
                            .max_nodes = most_nodes(fields[6]),
                            .kinds = {}});
      partition = std::prev(partitions.end());
    }
    partition->kinds.push_back({.nodes = static_cast<int>(leading_number(fields[1])),
                                .cpus = static_cast<int>(leading_number(fields[2])),
                                .memory_mb = leading_number(fields[3]),
                                .gpus = count_gpus(fields[4])});
  }
  return partitions;
}

Result<std::vector<Partition>> find_partitions() {
  const auto text = ask_client({"sinfo", "--noheader", "--exact", kFormat}, kAskLimit);
  if (!text.ok()) {
    return failure(
        "Slurm does not say what partitions it has: " + text.error().message +
        "\nTry 'sinfo': it has to answer here, on a login node of the cluster; on this machine alone, use "
        "'regatta run'");
  }
  return parse_partitions(*text);
}

std::optional<std::int64_t> parse_memory_mb(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string unit(rest, end);
  if (error != std::errc() || number < 0 || unit.size() > 1) {
    return std::nullopt;
  }
  const std::size_t power = unit.empty() ? 1 : std::string_view("KMGT").find(unit[0]);
  if (power == std::string_view::npos) {
    return std::nullopt;
  }
  constexpr double kFactors[] = {1.0 / 1024, 1, 1024, 1024.0 * 1024};
  return static_cast<std::int64_t>(number * kFactors[power]);
}

std::optional<std::int64_t> parse_time_limit(const std::string& text) {
  const std::size_t dash = text.find('-');
  const std::string clock = dash == std::string::npos ? text : text.substr(dash + 1);
  const auto colons = std::ranges::count(clock, ':');
  const auto parsed = parse_slurm_seconds(clock);
  const auto days =
      dash == std::string::npos ? std::optional<std::int64_t>(0) : parse_slurm_seconds(text.substr(0, dash));
  if (!parsed || !days || colons > 2) {
    return std::nullopt;
  }
  // The units that are left out differ: minutes alone, but hours after days.
  const std::int64_t unit = dash != std::string::npos ? (colons == 0   ? 3600
                                                         : colons == 1 ? 60
                                                                       : 1)
                                                      : (colons == 0 ? 60 : 1);
  return *days * 86400 + *parsed * unit;
}

bool has_room(const NodeKind& kind, const JobRequest& request) { return !lack(request, kind); }

Result<Partition> choose_partition(const JobRequest& request, const std::vector<Partition>& partitions) {
  std::vector<std::string> wanted =
      request.partition.empty() ? std::vector<std::string>() : split(request.partition, ',');
  std::vector<std::string> names;
  for (const Partition& partition : partitions) {
    names.push_back(partition.name);
    if (request.partition.empty() && partition.is_default) {
      wanted.push_back(partition.name);
    }
  }
  if (wanted.empty()) {
    return user_mistake("this cluster has no default partition: give --partition, one of " + one_of(names));
  }
  std::optional<std::string> why;
  for (const std::string& name : wanted) {
    const auto partition = std::ranges::find(partitions, name, &Partition::name);
    if (partition == partitions.end()) {
      return user_mistake(fmt::format("--partition: there is no partition '{}'{}; there are {}", name,
                                      did_you_mean(name, names), one_of(names)));
    }
    const auto refused = refusal(request, *partition);
    if (!refused) {
      return *partition;
    }
    why = why.value_or(fmt::format("partition {} can never run this: the job asks for {}", name, *refused));
  }
  return user_mistake(*why);
}

}  // namespace regatta
