// https://slurm.schedmd.com/srun.html; the options are those of Slurm 21.08 and later.
#include "cluster/slurm_steps.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "base/process.h"
#include "cluster/client_program.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr Microseconds kListLimit{std::chrono::seconds(20)};
constexpr Microseconds kEndLimit{std::chrono::seconds(10)};  // for Slurm to end a step

// What the job was asked for with: srun would take it for what each step asks for.
const std::vector<std::string> kOfTheJob{"SLURM_NTASKS",   "SLURM_NPROCS",        "SLURM_CPUS_PER_TASK",
                                         "SLURM_GPUS",     "SLURM_TRES_PER_TASK", "SLURM_MEM_PER",
                                         "SLURM_CPU_BIND", "SLURM_DISTRIBUTION",  "SLURM_EXCLUSIVE"};

std::string option(const char* name, int number) { return fmt::format("--{}={}", name, number); }

// Without it, a step would take all of the job's memory on its nodes, and the next would wait for it.
std::optional<std::string> memory_option(const SlurmAllocation& allocation, int cpus_on_node) {
  if (allocation.memory_a_cpu) {
    return fmt::format("--mem-per-cpu={}M", *allocation.memory_a_cpu);
  }
  const int least = *std::ranges::min_element(allocation.cpus);
  if (allocation.memory_a_node && *allocation.memory_a_node > 0 && least > 0) {
    return fmt::format("--mem={}M", *allocation.memory_a_node * std::min(cpus_on_node, least) / least);
  }
  return std::nullopt;
}

// The nodes, tasks, cores, memory and cards of a step.
std::vector<std::string> step_shape(const CrewSpec& crew, const Resources& resources, StepRanks how) {
  const SlurmRoom& room = *resources.slurm;
  const int ranks = ranks_of(crew, resources);
  const int nodes = room.nodes_a_crew;
  const bool by_mpirun = how == StepRanks::mpirun && ranks > 1;
  const int tasks = by_mpirun ? 1 : ranks;
  const int cpus_a_task = by_mpirun ? ranks * resources.threads : resources.threads;
  std::vector<std::string> options;
  const int tasks_a_node = (tasks + nodes - 1) / nodes;
  options.push_back(option("nodes", nodes));
  options.push_back(option("ntasks", tasks));
  if (nodes > 1) {
    options.push_back(option("ntasks-per-node", tasks_a_node));
  }
  options.push_back(option("cpus-per-task", cpus_a_task));
  if (const auto memory =
          memory_option(room.allocation, room.allocation.step_cpus(tasks_a_node * cpus_a_task))) {
    options.push_back(*memory);
  }
  if (room.gpus_a_node > 0) {
    options.push_back(fmt::format("--gres=gpu:{}", room.gpus_a_node));
  } else if (room.allocation.gpus_a_node > 0) {
    options.emplace_back("--gres=none");
  }
  return options;
}

// An mpirun that keeps to the node that it is started on.
std::vector<std::string> local_mpirun(int ranks) {
  return {"mpirun",          "-n",        std::to_string(ranks),
          "--oversubscribe", "--bind-to", "none",
          "--mca",           "plm",       "isolated",
          "--mca",           "ras",       "^slurm"};
}

class SlurmLauncher final : public Launcher {
 public:
  SlurmLauncher(Resources resources, Surroundings surroundings, StepRanks ranks)
      : resources_(std::move(resources)), surroundings_(std::move(surroundings)), ranks_(ranks) {}
  SlurmLauncher(const SlurmLauncher&) = delete;
  SlurmLauncher& operator=(const SlurmLauncher&) = delete;
  ~SlurmLauncher() override { end_steps(); }

  Status start(const CrewSpec& crew) override {
    return processes_.start(crew, step_command(crew, resources_, surroundings_, ranks_));
  }

  // Crews tell of themselves; their sruns end with the job in any case.
  std::optional<long> process_of(const std::string& /*crew*/) const override { return std::nullopt; }

  std::vector<CrewExit> poll() override {
    std::vector<CrewExit> exits = processes_.poll();
    for (CrewExit& exit : exits) {
      exit.preempted = !exit.clean && ended_by_slurm(exit.reason);
    }
    return exits;
  }

  // Workers in a step take SIGTERM from nobody: Slurm sends it to them too, when there is still time to save.
  void stop_all(Microseconds grace) override {
    processes_.wait_for_all(grace);
    end_steps();
  }

 private:
  // srun that is killed leaves its step behind; interrupted (--quit-on-interrupt), it ends it.
  void end_steps() {
    processes_.signal_all(SIGINT);
    processes_.wait_for_all(kEndLimit);
    processes_.kill_all();
  }

  Resources resources_;
  Surroundings surroundings_;
  StepRanks ranks_;
  CrewProcesses processes_;
};

Result<StepRanks> find_step_ranks(const Resources& resources) {
  ASSIGN_OR_RETURN(const ClientOutput listed, run_client({"srun", "--mpi=list"}, kListLimit));
  if (lists_pmix(listed.output) || lists_pmix(listed.errors)) {
    return StepRanks::pmix;
  }
  if (resources.ranks > 1 && (resources.slurm->nodes_a_crew > 1 || !in_path("mpirun"))) {
    return user_mistake(fmt::format(
        "crews of {} ranks {}: this Slurm has no PMIx (`srun --mpi=list` names it), without which {}. "
        "Ask for Slurm's PMIx plugin, or lower resources.ranks",
        resources.ranks,
        resources.slurm->nodes_a_crew > 1 ? fmt::format("over {} nodes", resources.slurm->nodes_a_crew)
                                          : "cannot start",
        resources.slurm->nodes_a_crew > 1 ? "a crew has to fit on one node"
                                          : "mpirun has to start the ranks, and it is not in PATH"));
  }
  return StepRanks::mpirun;
}

// Whether Slurm keeps the processes of a step to its CPUs. Else several steps see the same ones.
bool confines_steps() {
  const auto config = ask_client({"scontrol", "show", "config"}, kListLimit);
  return config.ok() && config->find("task/affinity") != std::string::npos;
}

}  // namespace

CrewCommand step_command(const CrewSpec& crew, const Resources& resources, const Surroundings& surroundings,
                         StepRanks how) {
  const int ranks = ranks_of(crew, resources);
  const bool pmix = how == StepRanks::pmix && ranks > 1;
  // Where the job was submitted with --export=NONE, which may be the site's default, srun would do the same
  // and drop what the ranks are to find.
  CrewCommand result{
      .command = {"srun", pmix ? "--mpi=pmix" : "--mpi=none", "--exact", "--kill-on-bad-exit=1",
                  "--quit-on-interrupt", "--input=none", "--export=ALL", "--job-name=" + crew.name},
      .variables = {},
      .removed_prefixes = kOfTheJob};
  const auto append = [&result](const std::vector<std::string>& words) {
    result.command.insert(result.command.end(), words.begin(), words.end());
  };
  append(step_shape(crew, resources, how));
  if (ranks > 1 && !pmix) {
    append(local_mpirun(ranks));
  }
  append(worker_command(crew, resources, surroundings.program));
  result.command.emplace_back("--ignore-signals");
  if (ranks > 1 && !pmix && resources.bind) {
    result.command.emplace_back("--divide-cpus");  // this mpirun leaves each rank all that the step has
  }
  add_rank_variables(result.variables, resources, surroundings, ranks);
  return result;
}

bool ended_by_slurm(const std::string& reason) {
  constexpr std::array kDoings{"DUE TO PREEMPTION", "DUE TO TIME LIMIT", "DUE TO JOB REQUEUE",
                               "DUE TO NODE FAILURE", "DUE TO NODE"};
  return std::ranges::any_of(kDoings,
                             [&](const char* doing) { return reason.find(doing) != std::string::npos; });
}

Result<std::unique_ptr<Launcher>> make_slurm_launcher(const Resources& settled, const fs::path& program) {
  Resources resources = settled;
  CHECK(resources.slurm.has_value(), "settle_room() has found the allocation");
  ASSIGN_OR_RETURN(const StepRanks ranks, find_step_ranks(resources));
  if (ranks == StepRanks::mpirun && resources.ranks > 1) {
    spdlog::warn("srun has no PMIx here (`srun --mpi=list`): mpirun starts the ranks within each step");
    resources.bind = resources.bind && confines_steps();
  }
  fs::path workers = program;
  if (workers.empty()) {
    ASSIGN_OR_RETURN(workers, this_program());
  }
  Surroundings surroundings = find_surroundings(workers);
  surroundings.cores = resources.slurm->allocation.total_cpus();
  return std::unique_ptr<Launcher>(std::make_unique<SlurmLauncher>(resources, surroundings, ranks));
}

}  // namespace regatta
