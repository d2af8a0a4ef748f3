// Crews as child processes: of this one, or of an mpirun of their own.
#include "cluster/mpirun.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
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

class MpirunLauncher final : public Launcher {
 public:
  MpirunLauncher(Resources resources, Surroundings surroundings)
      : resources_(std::move(resources)), surroundings_(std::move(surroundings)) {}

  Status start(const CrewSpec& crew) override {
    return processes_.start(crew, crew_command(crew, resources_, surroundings_));
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
  if (ranks > 1) {
    // Several jobs share this machine and none knows of the others: left alone, each would bind its rank 0 to
    // core 0 and count all cores as its own.
    result.command = {"mpirun", "-n", std::to_string(ranks), "--oversubscribe", "--bind-to", "none"};
  }
  add_rank_variables(result.variables, resources, surroundings, ranks);
  const std::vector<std::string> worker = worker_command(crew, resources, surroundings.program);
  result.command.insert(result.command.end(), worker.begin(), worker.end());
  if (!resources.cpus.empty()) {
    result.command.insert(result.command.end(), {"--cpus", cpus_of(crew, resources)});
  }
  if (!resources.cards.empty()) {
    // The crew sees its own cards only, as do the programs that it starts.
    result.variables["CUDA_VISIBLE_DEVICES"] =
        visible_devices(surroundings.visible_devices, cards_of(crew, resources));
  }
  return result;
}

Result<std::unique_ptr<Launcher>> make_mpirun_launcher(const Resources& resources, const fs::path& program) {
  if (resources.ranks > 1 && inside_mpi_job()) {
    return user_mistake(
        "cannot start crews of several ranks from within an MPI job: start without mpirun, and each crew "
        "gets its own");
  }
  if (resources.ranks > 1 && !in_path("mpirun")) {
    return user_mistake(
        "crews of several ranks need mpirun, which is not in PATH: install Open MPI (Debian: apt install "
        "openmpi-bin), or set resources.ranks to 1");
  }
  fs::path workers = program;
  if (workers.empty()) {
    ASSIGN_OR_RETURN(workers, this_program());
  }
  return std::unique_ptr<Launcher>(std::make_unique<MpirunLauncher>(resources, find_surroundings(workers)));
}

}  // namespace regatta
