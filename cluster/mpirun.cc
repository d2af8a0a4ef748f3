// Crews as child processes: of this one, or of an mpirun of their own.
#include "cluster/mpirun.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/file.h"
#include "base/host.h"
#include "base/log.h"
#include "base/process.h"
#include "devices/assignment.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kReasonLines = 5;
constexpr std::streamoff kReasonBytes = 4096;
constexpr Microseconds kKillLimit{std::chrono::seconds(5)};

bool can_read_process_memory() {
  // Containers often forbid the call as such (seccomp), which shows on one's own memory too. Yama's limits on
  // other processes' memory are known to Open MPI, which lifts them between ranks.
  int from = 1;
  int to = 0;
  const iovec local{&to, sizeof to};
  const iovec remote{&from, sizeof from};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(sizeof to);
}

bool in_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, end)) / name;
    if (::access(candidate.c_str(), X_OK) == 0) {
      return true;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

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

// Each once: slots may share a card.
std::vector<int> cards_of(const CrewSpec& crew, const Resources& resources) {
  std::vector<int> cards;
  for (const int slot : crew.slots) {
    const std::vector<int>& dealt = resources.cards[static_cast<std::size_t>(slot)];
    std::ranges::copy_if(dealt, std::back_inserter(cards),
                         [&](int card) { return std::ranges::find(cards, card) == cards.end(); });
  }
  return cards;
}

CrewPlace place_of(const CrewSpec& crew, const Resources& resources) {
  std::vector<CrewPlace> places;
  for (const int slot : crew.slots) {
    if (!resources.places.empty()) {
      places.push_back(resources.places[static_cast<std::size_t>(slot)]);
    }
  }
  return join_places(places);
}

bool is_elsewhere(const CrewPlace& place) {
  return std::ranges::any_of(place, [](const PlacedRanks& part) { return !part.here; });
}

// How mpirun reaches other hosts.
std::vector<std::string> network_arguments(const Resources& resources) {
  // Without tree spawn every host is started from this one, as it was tried before. Attached agents let
  // mpirun see that a daemon has failed; otherwise it waits forever for one that cannot reach it. Left alone,
  // it takes minutes to notice that a host is cut off.
  std::vector<std::string> arguments = {"--leave-session-attached",
                                        "--mca",
                                        "plm_rsh_no_tree_spawn",
                                        "1",
                                        "--mca",
                                        "oob_tcp_keepalive_time",
                                        "5",
                                        "--mca",
                                        "oob_tcp_keepalive_intvl",
                                        "5",
                                        "--mca",
                                        "oob_tcp_keepalive_probes",
                                        "2"};
  if (!resources.agent.empty()) {
    arguments.insert(arguments.end(), {"--mca", "plm_rsh_agent", resources.agent});
  }
  if (!resources.interface.empty()) {
    arguments.insert(arguments.end(), {"--mca", "btl_tcp_if_include", resources.interface, "--mca",
                                       "oob_tcp_if_include", resources.interface});
  }
  return arguments;
}

// One context of mpirun for each host, because cards and ranks may differ from host to host. Variables do not
// travel by themselves, those of Open MPI excepted.
std::vector<std::string> contexts(const CrewPlace& place, const std::map<std::string, std::string>& variables,
                                  const std::vector<std::string>& worker) {
  std::vector<std::string> arguments;
  for (const PlacedRanks& part : place) {
    if (!arguments.empty()) {
      arguments.emplace_back(":");
    }
    arguments.insert(arguments.end(), {"-n", std::to_string(part.ranks), "--host",
                                       fmt::format("{}:{}", part.host, part.ranks)});
    for (const auto& [name, value] : variables) {
      if (!name.starts_with("OMPI_")) {
        arguments.insert(arguments.end(), {"-x", fmt::format("{}={}", name, value)});
      }
    }
    if (!part.cards.empty()) {
      arguments.insert(arguments.end(),
                       {"-x", "CUDA_VISIBLE_DEVICES=" + visible_devices(std::nullopt, part.cards)});
    }
    arguments.insert(arguments.end(), worker.begin(), worker.end());
  }
  return arguments;
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

bool computes_on_cards(const CrewPlace& place, const Resources& resources) {
  return !resources.cards.empty() || (!place.empty() && !place.front().cards.empty());
}

// What each rank runs.
std::vector<std::string> worker_command(const CrewSpec& crew, const Resources& resources,
                                        const Surroundings& surroundings) {
  std::vector<std::string> command = {surroundings.program.string(),
                                      "worker",
                                      "--study",
                                      fs::absolute(crew.folder).string(),
                                      "--crew",
                                      crew.name,
                                      "--threads",
                                      std::to_string(resources.threads),
                                      "--lanes",
                                      std::to_string(resources.lanes)};
  if (!resources.cpus.empty()) {
    command.insert(command.end(), {"--cpus", cpus_of(crew, resources)});
  }
  if (crew.slots.size() > 1) {
    command.insert(command.end(), {"--slots", fmt::format("{}", fmt::join(crew.slots, ","))});
  }
  if (computes_on_cards(place_of(crew, resources), resources)) {
    command.insert(command.end(), {"--ranks-per-gpu", std::to_string(resources.ranks_per_gpu)});
  }
  if (resources.trace) {
    command.insert(command.end(), {"--trace", (fs::absolute(crew.folder) / "traces").string()});
  }
  return command;
}

struct Running {
  Process process;
  fs::path log;
  std::uintmax_t log_start = 0;  // earlier crews may have written to the same file
  bool elsewhere = false;        // it has ranks on other hosts
};

CrewExit describe_exit(const std::string& name, const Running& crew, const ExitStatus& status) {
  CrewExit ended{.name = name, .clean = status.success()};
  ended.reason = fmt::format("{}: {}", name, status.describe());
  if (!status.success()) {
    if (const std::string words = last_words(crew.log, crew.log_start); !words.empty()) {
      ended.reason += fmt::format("; the end of {}:\n  {}", crew.log.string(), words);
    }
  }
  return ended;
}

class MpirunLauncher final : public Launcher {
 public:
  MpirunLauncher(Resources resources, Surroundings surroundings)
      : resources_(std::move(resources)), surroundings_(std::move(surroundings)) {}
  MpirunLauncher(const MpirunLauncher&) = delete;
  MpirunLauncher& operator=(const MpirunLauncher&) = delete;
  ~MpirunLauncher() override { kill_all(); }

  Status start(const CrewSpec& crew) override {
    CHECK(!running_.contains(crew.name), crew.name);
    RETURN_IF_ERROR(make_directories(crew.log.parent_path()));
    CrewCommand command = crew_command(crew, resources_, surroundings_);
    std::error_code absent;
    const std::uintmax_t log_start = fs::exists(crew.log, absent) ? fs::file_size(crew.log, absent) : 0;
    ASSIGN_OR_RETURN(Process process, Process::start({.command = std::move(command.command),
                                                      .variables = std::move(command.variables),
                                                      .removed_prefixes = removed_prefixes(),
                                                      .output = crew.log,
                                                      .own_session = true}));
    spdlog::debug("started {} as process {}, log {}", crew.name, process.id(), crew.log.string());
    running_.emplace(crew.name, Running{std::move(process), crew.log, log_start,
                                        is_elsewhere(place_of(crew, resources_))});
    return {};
  }

  std::optional<long> process_of(const std::string& crew) const override {
    const auto found = running_.find(crew);
    const bool elsewhere = found != running_.end() && found->second.elsewhere;
    return elsewhere ? std::optional<long>(found->second.process.id()) : std::nullopt;
  }

  std::vector<CrewExit> poll() override {
    collect_exits();
    return std::exchange(exits_, {});
  }

  void stop_all(Microseconds grace) override {
    for (auto& [name, crew] : running_) {
      crew.process.signal(SIGTERM);
    }
    const Deadline deadline(clock_, grace);
    for (auto& [name, crew] : running_) {
      (void)crew.process.wait_for(deadline.remaining());
    }
    collect_exits();
    kill_all();
    collect_exits();
  }

 private:
  // A crew is a job of its own: it must not take itself for a part of the job that this process belongs to.
  static std::vector<std::string> removed_prefixes() {
    return inside_mpi_job() ? std::vector<std::string>{"OMPI_", "PMIX_", "PMI_"} : std::vector<std::string>{};
  }

  void collect_exits() {
    for (auto crew = running_.begin(); crew != running_.end();) {
      if (const auto status = crew->second.process.poll()) {
        exits_.push_back(describe_exit(crew->first, crew->second, *status));
        crew = running_.erase(crew);
      } else {
        ++crew;
      }
    }
  }

  void kill_all() {
    for (auto& [name, crew] : running_) {
      crew.process.kill();
    }
    for (auto& [name, crew] : running_) {
      (void)crew.process.wait_for(kKillLimit);
    }
  }

  SystemClock clock_;
  Resources resources_;
  Surroundings surroundings_;
  std::map<std::string, Running> running_;
  std::vector<CrewExit> exits_;  // not yet told
};

}  // namespace

bool inside_mpi_job() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMIX_RANK") != nullptr ||
         std::getenv("PMI_RANK") != nullptr;
}

Surroundings find_surroundings(const fs::path& program) {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return {.program = program,
          .cores = usable_cores(),
          .root = ::geteuid() == 0,
          .cross_memory_attach = can_read_process_memory(),
          .visible_devices = visible == nullptr ? std::nullopt : std::optional<std::string>(visible)};
}

int ranks_of(const CrewSpec& crew, const Resources& resources) {
  return static_cast<int>(crew.slots.size()) * resources.ranks;
}

CrewCommand crew_command(const CrewSpec& crew, const Resources& resources, const Surroundings& surroundings) {
  CrewCommand result;
  const int ranks = ranks_of(crew, resources);
  const CrewPlace place = place_of(crew, resources);
  const bool elsewhere = is_elsewhere(place);
  const std::string threads = std::to_string(resources.threads);
  result.variables["OMP_NUM_THREADS"] = threads;
  const bool oversubscribed = oversubscription_warning(resources, surroundings.cores).has_value();
  if (oversubscribed) {
    result.variables["OMP_WAIT_POLICY"] = "passive";  // waiting threads leave their core to others
  }
  if (ranks > 1 || elsewhere) {
    // Several jobs share this machine and none knows of the others: left alone, each would bind its rank 0 to
    // core 0 and count all cores as its own.
    result.command = {"mpirun", "-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none"};
    result.command.insert(result.command.end(), resources.mpirun.begin(), resources.mpirun.end());
    if (oversubscribed) {
      result.variables["OMPI_MCA_mpi_yield_when_idle"] = "1";
    }
    if (surroundings.root) {
      result.variables["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
      result.variables["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
    }
    if (!surroundings.cross_memory_attach) {
      result.variables["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none";
    }
  }
  const bool on_cards = computes_on_cards(place, resources);
  std::vector<std::string> worker = worker_command(crew, resources, surroundings);
  if (elsewhere) {
    worker.emplace_back("--recorded");  // what the launcher's host knows of the crew serves better
    const auto network = network_arguments(resources);
    const auto on_hosts = contexts(place, result.variables, worker);
    result.command.erase(result.command.begin() + 1, result.command.begin() + 3);  // each context has its -n
    result.command.insert(result.command.end(), network.begin(), network.end());
    result.command.insert(result.command.end(), on_hosts.begin(), on_hosts.end());
    return result;
  }
  if (on_cards) {
    // The crew sees its own cards only, as do the programs that it starts.
    result.variables["CUDA_VISIBLE_DEVICES"] = visible_devices(
        surroundings.visible_devices, place.empty() ? cards_of(crew, resources) : place.front().cards);
  }
  result.command.insert(result.command.end(), worker.begin(), worker.end());
  return result;
}

bool can_start_large_crews(const Resources& resources) {
  return resources.ranks > 1 || (in_path("mpirun") && !inside_mpi_job());
}

Result<std::unique_ptr<Launcher>> make_launcher(const Resources& resources, const fs::path& program) {
  return make_mpirun_launcher(resources, program);
}

Result<std::unique_ptr<Launcher>> make_mpirun_launcher(const Resources& resources, const fs::path& program) {
  const bool needs_mpirun = resources.ranks > 1 || std::ranges::any_of(resources.places, is_elsewhere);
  if (needs_mpirun && inside_mpi_job()) {
    return user_mistake(
        "cannot start crews of several ranks or on other hosts from within an MPI job: start without mpirun, "
        "and "
        "each crew gets its own");
  }
  if (needs_mpirun && !in_path("mpirun")) {
    return user_mistake(
        "crews of several ranks, and crews on other hosts, need mpirun, which is not in PATH: install Open "
        "MPI "
        "(Debian: apt install openmpi-bin), or set resources.ranks to 1 and leave out the hosts");
  }
  fs::path workers = program;
  if (workers.empty()) {
    ASSIGN_OR_RETURN(workers, this_program());
  }
  return std::unique_ptr<Launcher>(std::make_unique<MpirunLauncher>(resources, find_surroundings(workers)));
}

}  // namespace regatta
