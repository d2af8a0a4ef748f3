// Crews as child processes: of this one, or of an mpirun of their own.
#include "cluster/mpirun.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <set>
#include <utility>

#include "base/host.h"
#include "base/process.h"
#include "devices/assignment.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

bool can_read_process_memory() {
  // Containers often forbid the call as such (seccomp), which shows on one's own memory too. Yama's limits on
  // other processes' memory are known to Open MPI, which lifts them between ranks.
  int from = 1;
  int to = 0;
  const iovec local{&to, sizeof to};
  const iovec remote{&from, sizeof from};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(sizeof to);
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

class MpirunLauncher final : public Launcher {
 public:
  MpirunLauncher(Resources resources, Surroundings surroundings)
      : resources_(std::move(resources)), surroundings_(std::move(surroundings)) {}

  Status start(const CrewSpec& crew) override {
    if (is_elsewhere(place_of(crew, resources_))) {
      elsewhere_.insert(crew.name);
    }
    return processes_.start(crew, crew_command(crew, resources_, surroundings_));
  }

  std::optional<long> process_of(const std::string& crew) const override {
    return elsewhere_.contains(crew) ? processes_.process_of(crew) : std::nullopt;
  }

  std::vector<CrewExit> poll() override { return processes_.poll(); }

  void stop_all(Microseconds grace) override {
    processes_.signal_all(SIGTERM);
    processes_.wait_for_all(grace);
    processes_.kill_all();
  }

 private:
  Resources resources_;
  Surroundings surroundings_;
  CrewProcesses processes_;
  std::set<std::string> elsewhere_;  // crews with ranks on other hosts
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
          .in_slurm_job = std::getenv("SLURM_JOB_ID") != nullptr,
          .root = ::geteuid() == 0,
          .cross_memory_attach = can_read_process_memory(),
          .visible_devices = visible == nullptr ? std::nullopt : std::optional<std::string>(visible)};
}

void add_rank_variables(std::map<std::string, std::string>& variables, const Resources& resources,
                        const Surroundings& surroundings, int ranks) {
  variables["OMP_NUM_THREADS"] = std::to_string(resources.threads);
  const bool oversubscribed = oversubscription_warning(resources, surroundings.cores).has_value();
  if (oversubscribed) {
    variables["OMP_WAIT_POLICY"] = "passive";  // waiting threads leave their core to others
  }
  if (ranks == 1) {
    return;
  }
  if (oversubscribed) {
    variables["OMPI_MCA_mpi_yield_when_idle"] = "1";
  }
  if (surroundings.root) {
    variables["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
    variables["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
  }
  if (!surroundings.cross_memory_attach) {
    variables["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none";
  }
}

CrewCommand crew_command(const CrewSpec& crew, const Resources& resources, const Surroundings& surroundings) {
  CrewCommand result;
  if (inside_mpi_job()) {
    // A crew is a job of its own: it must not take itself for a part of the job that this process belongs to.
    result.removed_prefixes = {"OMPI_", "PMIX_", "PMI_"};
  }
  const int ranks = ranks_of(crew, resources);
  const CrewPlace place = place_of(crew, resources);
  const bool elsewhere = is_elsewhere(place);
  if (ranks > 1 || elsewhere) {
    // Several jobs share this machine and none knows of the others: left alone, each would bind its rank 0 to
    // core 0 and count all cores as its own.
    result.command = {"mpirun", "-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none"};
    if (surroundings.in_slurm_job) {
      // Left alone, mpirun spreads the ranks over all nodes of the job.
      const std::vector<std::string> own_hosts{"--mca", "plm", elsewhere ? "rsh" : "isolated",
                                               "--mca", "ras", "^slurm"};
      result.command.insert(result.command.end(), own_hosts.begin(), own_hosts.end());
    }
    result.command.insert(result.command.end(), resources.mpirun.begin(), resources.mpirun.end());
  }
  add_rank_variables(result.variables, resources, surroundings, elsewhere ? std::max(ranks, 2) : ranks);
  std::vector<std::string> worker = worker_command(crew, resources, surroundings.program);
  if (elsewhere) {
    worker.emplace_back("--recorded");  // what the launcher's host knows of the crew serves better
    const auto network = network_arguments(resources);
    const auto on_hosts = contexts(place, result.variables, worker);
    result.command.erase(result.command.begin() + 1, result.command.begin() + 3);  // each context has its -n
    result.command.insert(result.command.end(), network.begin(), network.end());
    result.command.insert(result.command.end(), on_hosts.begin(), on_hosts.end());
    return result;
  }
  if (resources.on_cards()) {
    // The crew sees its own cards only, as do the programs that it starts.
    result.variables["CUDA_VISIBLE_DEVICES"] = visible_devices(
        surroundings.visible_devices, place.empty() ? cards_of(crew, resources) : place.front().cards);
  }
  result.command.insert(result.command.end(), worker.begin(), worker.end());
  return result;
}

Result<std::unique_ptr<Launcher>> make_mpirun_launcher(const Resources& resources, const fs::path& program) {
  const bool needs_mpirun = resources.ranks > 1 || std::ranges::any_of(resources.places, is_elsewhere);
  if (needs_mpirun && inside_mpi_job()) {
    return user_mistake(
        "cannot start crews of several ranks or on other hosts from within an MPI job: start without "
        "mpirun, and each crew gets its own");
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
