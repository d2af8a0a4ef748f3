// Slurm's variables: https://slurm.schedmd.com/sbatch.html, "OUTPUT ENVIRONMENT VARIABLES".
#include "cluster/slurm.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>
#include <string_view>

#include "base/cpus.h"
#include "devices/cores.h"

namespace regatta {
namespace {

// Steps with such numbers are Slurm's own: the batch script, the shell of salloc.
constexpr std::int64_t kFirstSpecialStep = 0xfffffff0;
constexpr int kMostNodes = 1'000'000;

std::optional<std::int64_t> to_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

class Variables {
 public:
  explicit Variables(const Environment& environment) : environment_(environment) {}
  std::string text(const char* name) const {
    const char* value = environment_(name);
    return value == nullptr ? "" : value;
  }
  std::optional<std::int64_t> number(const char* name) const { return to_number(text(name)); }
  bool has(const char* name) const { return environment_(name) != nullptr; }

 private:
  const Environment& environment_;
};

// What this process sees on its node, or what was asked for: "a100:2" or "2".
int gpus_a_node(const Variables& variables) {
  if (const auto here = variables.number("SLURM_GPUS_ON_NODE")) {
    return static_cast<int>(*here);
  }
  const std::string asked = variables.text("SLURM_GPUS_PER_NODE");
  const std::size_t colon = asked.rfind(':');
  return static_cast<int>(
      to_number(colon == std::string::npos ? asked : asked.substr(colon + 1)).value_or(0));
}

}  // namespace

int SlurmAllocation::total_cpus() const { return std::accumulate(cpus.begin(), cpus.end(), 0); }

int SlurmAllocation::step_cpus(int asked) const {
  return (asked + cpus_a_core - 1) / cpus_a_core * cpus_a_core;
}

std::string SlurmRoom::describe(int crews) const {
  const std::size_t nodes = allocation.cpus.size();
  std::string text =
      fmt::format("in Slurm job {} on {} ({} node{}, {} CPUs): {} crews, each a step", allocation.job,
                  allocation.node_list, nodes, nodes == 1 ? "" : "s", allocation.total_cpus(), crews);
  if (nodes_a_crew > 1) {
    text += fmt::format(" on {} nodes", nodes_a_crew);
  }
  if (gpus_a_node > 0) {
    text += fmt::format(" with {} GPUs a node", gpus_a_node);
  }
  return crews_wanted == 0 ? text : fmt::format("{}; there is no room for {}", text, crews_wanted);
}

std::vector<int> parse_repeated(const std::string& text) {
  std::vector<int> numbers;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    std::string_view item = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::int64_t times = 1;
    if (const std::size_t bracket = item.find("(x"); bracket != std::string_view::npos) {
      const std::size_t close = item.find(')', bracket);
      const auto repeats = close == std::string_view::npos
                               ? std::nullopt
                               : to_number(item.substr(bracket + 2, close - bracket - 2));
      times = repeats.value_or(-1);
      item = item.substr(0, bracket);
    }
    const auto number = to_number(item);
    if (!number || *number < 0 || *number > kMostNodes || times < 1 || times > kMostNodes) {
      return {};
    }
    numbers.insert(numbers.end(), static_cast<std::size_t>(times), static_cast<int>(*number));
  }
  return numbers;
}

bool lists_pmix(const std::string& text) {
  const auto is_part_of_word = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
  };
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = begin;
    while (end < text.size() && is_part_of_word(text[end])) {
      ++end;
    }
    const std::string_view word = std::string_view(text).substr(begin, end - begin);
    if (word.starts_with("pmix_v") || word == "pmix") {
      // "specific pmix plugin versions available: pmix_v4" begins with the word in other uses.
      if (word != "pmix" || !std::string_view(text).substr(end).starts_with(" plugin")) {
        return true;
      }
    }
    begin = std::max(end, begin + 1);
  }
  return false;
}

std::optional<SlurmAllocation> slurm_allocation(const Environment& environment) {
  const Variables variables(environment);
  SlurmAllocation found{.job = variables.text("SLURM_JOB_ID"),
                        .node_list = variables.text("SLURM_JOB_NODELIST"),
                        .cpus = parse_repeated(variables.text("SLURM_JOB_CPUS_PER_NODE")),
                        .gpus_a_node = gpus_a_node(variables)};
  const auto step = variables.number("SLURM_STEP_ID");
  if (found.job.empty() || found.cpus.empty() || (step && *step >= 0 && *step < kFirstSpecialStep)) {
    return std::nullopt;
  }
  found.restarts = static_cast<int>(variables.number("SLURM_RESTART_COUNT").value_or(0));
  if (const auto cpus = variables.number("SLURM_CPUS_PER_TASK")) {
    found.cpus_a_task = static_cast<int>(*cpus);
  }
  found.memory_a_node = variables.number("SLURM_MEM_PER_NODE");
  found.memory_a_cpu = variables.number("SLURM_MEM_PER_CPU");
  // salloc's shell has no task of its own.
  found.batch = variables.has("SLURM_TASK_PID") && variables.text("SLURM_PROCID") == "0" && !step;
  return found;
}

std::optional<SlurmAllocation> slurm_allocation() {
  const Environment environment = [](const char* name) { return std::getenv(name); };
  auto found = slurm_allocation(environment);
  if (!found) {
    return found;
  }
  // Slurm may be set up to count cores and not their hardware threads; and salloc's shell may be on another
  // host. Only where the job's CPUs are those that are seen here, one is as good as the other.
  const CpuSet allowed = allowed_cpus();
  if (Variables(environment).number("SLURM_CPUS_ON_NODE") == static_cast<std::int64_t>(allowed.size())) {
    for (const Core& core : find_cores(allowed)) {
      found->cpus_a_core = std::max(found->cpus_a_core, static_cast<int>(core.cpus.size()));
    }
  }
  return found;
}

}  // namespace regatta
