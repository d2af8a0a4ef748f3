// regatta worker: one rank of a crew, started by a launcher.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/cpus.h"
#include "base/file.h"
#include "base/log.h"
#include "base/trace.h"
#include "cli/commands.h"
#include "cli/crew_record.h"
#include "cli/exit_code.h"
#include "cli/interrupts.h"
#include "cli/study_cores.h"
#include "collectives/mpi_communicator.h"
#include "worker/crew.h"
#include "worker/rank_cpus.h"

namespace regatta {
namespace {

// Beyond what the crew itself needs to know.
struct Start {
  std::filesystem::path traces;  // a folder; empty: none are wanted
  std::vector<int> slots;        // where there are several
  std::string cpus;              // by rank: "0-3/4-7"; empty: not dealt
  bool divide_cpus = false;
  bool bind_none = false;
  bool ignores_signals = false;
  bool recorded = false;  // the launcher has written which process the crew is
};

Status row(Communicator& communicator, const CrewOptions& options, const Start& start, bool by_mpirun) {
  if (communicator.rank() == 0 && !start.recorded) {
    CrewRecord record = record_of_this_process(options.name, by_mpirun);
    record.slots = start.slots;
    RETURN_IF_ERROR(write_crew_record(options.folder, record));
  }
  const auto claim = start.bind_none ? std::nullopt : claim_own_cpus(options.folder);
  return run_crew(communicator, options);
}

Status write_timeline(const std::filesystem::path& traces, const std::string& name) {
  RETURN_IF_ERROR(make_directories(traces));
  return write_trace(traces / (name + ".json"), name, ::getpid());
}

// What a rank did, also when it ended with an error, which says more than that it has no timeline.
Status row_traced(Communicator& communicator, const CrewOptions& options, const Start& start,
                  bool by_mpirun) {
  const SystemClock clock;
  if (!start.traces.empty()) {
    start_trace(clock);
  }
  Status rowed = row(communicator, options, start, by_mpirun);
  if (!start.traces.empty()) {
    const Status written =
        write_timeline(start.traces, fmt::format("{}.{}", options.name, communicator.rank()));
    return rowed.ok() ? written : rowed;
  }
  return rowed;
}

// Before there are threads, which inherit it, and before memory is touched, which comes from the node of the
// CPU that touches it first. A rank that the system keeps from its CPUs is slower, and no more.
Status run_on_own_cpus(const std::string& by_rank) {
  const auto rank = static_cast<std::size_t>(std::max(0, rank_from_environment().value_or(0)));
  std::string_view rest = by_rank;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t end = rest.find('/');
    if (end == std::string_view::npos) {
      return user_mistake(fmt::format("--cpus {} has no entry for rank {}", by_rank, rank));
    }
    rest.remove_prefix(end + 1);
  }
  ASSIGN_OR_RETURN(const CpuSet cpus, parse_cpus(rest.substr(0, rest.find('/'))));
  if (const Status bound = run_on(cpus); !bound.ok()) {
    spdlog::warn("rank {} {}; it runs on any", rank, bound.error().message);
  }
  return {};
}

// srun starts the ranks of a crew as its own tasks, or one task that is an mpirun.
bool started_by_mpirun() {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  return tasks == nullptr || std::string_view(tasks) == "1";
}

Result<int> work(const CrewOptions& options, const Start& start) {
  set_up_log({.name = options.name});
  if (start.ignores_signals) {
    ignore_interrupts();
  }
  if (!start.cpus.empty()) {
    RETURN_IF_ERROR(run_on_own_cpus(start.cpus));
  }
  if (!started_by_mpi()) {
    const auto single = make_single_communicator();
    RETURN_IF_ERROR(row_traced(*single, options, start, false));
    return kExitDone;
  }
  ASSIGN_OR_RETURN(const auto mpi, MpiSession::start());
  const auto world = mpi->world_communicator();
  if (start.divide_cpus) {
    RETURN_IF_ERROR(divide_cpus(*world, {.ranks = world->size(), .threads = options.threads}));
  }
  const Status rowed = row_traced(*world, options, start, started_by_mpirun());
  if (!rowed.ok()) {
    mpi->abandon();  // this exit without MPI_Finalize makes mpirun end the other ranks
    return rowed.error();
  }
  return kExitDone;
}

}  // namespace

void add_worker_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("worker", "one rank of a crew; started by regatta itself");
  command->group("");  // hidden
  const auto options = std::make_shared<CrewOptions>();
  command->add_option("--study", options->folder, "the study's folder")->required();
  command->add_option("--crew", options->name, "the crew's name")->required();
  command->add_option("--threads", options->threads, "threads of this rank")->check(CLI::Range(1, 4096));
  command
      ->add_option("--lanes", options->lanes, "trials trained at once; 0: as many as the card has memory for")
      ->check(CLI::Range(0, 1'000'000));
  command
      ->add_option("--ranks-per-gpu", options->ranks_per_gpu,
                   "compute on the GPUs in sight, so many ranks on each at most")
      ->check(CLI::Range(1, 1'000'000));
  const auto start = std::make_shared<Start>();
  command->add_option("--trace", start->traces, "a folder: each rank writes its timeline there");
  command->add_option("--cpus", start->cpus, "the CPUs that each rank runs on: 0-3/4-7");
  command->add_flag("--divide-cpus", start->divide_cpus,
                    "the CPUs in sight are the crew's alone: ranks that share them take a part each");
  command->add_flag("--bind-none", start->bind_none,
                    "the study leaves all CPUs to the system, and so to whoever binds itself to them");
  command->add_flag("--ignore-signals", start->ignores_signals,
                    "the coordinator alone decides what an interrupt means");
  command->add_flag("--recorded", start->recorded, "the launcher has written which process the crew is");
  command
      ->add_option("--slots", start->slots,
                   "the study's slots that the crew takes up, where it takes over others'")
      ->delimiter(',');
  command->callback([=, &action] {
    options->takes_over = start->slots.size() > 1;
    action = [=] { return work(*options, *start); };
  });
}

}  // namespace regatta
