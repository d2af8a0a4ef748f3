// regatta worker: one rank of a crew, started by a launcher.
#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/trace.h"
#include "cli/commands.h"
#include "cli/crew_record.h"
#include "cli/exit_code.h"
#include "collectives/mpi_communicator.h"
#include "worker/crew.h"

namespace regatta {
namespace {

// Beyond what the crew itself needs to know.
struct Start {
  std::filesystem::path traces;  // a folder; empty: none are wanted
  std::vector<int> slots;        // where there are several
};

Status row(Communicator& communicator, const CrewOptions& options, const std::vector<int>& slots,
           bool by_mpirun) {
  if (communicator.rank() == 0) {
    CrewRecord record = record_of_this_process(options.name, by_mpirun);
    record.slots = slots;
    RETURN_IF_ERROR(write_crew_record(options.folder, record));
  }
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
  Status rowed = row(communicator, options, start.slots, by_mpirun);
  if (!start.traces.empty()) {
    const Status written =
        write_timeline(start.traces, fmt::format("{}.{}", options.name, communicator.rank()));
    return rowed.ok() ? written : rowed;
  }
  return rowed;
}

Result<int> work(const CrewOptions& options, const Start& start) {
  set_up_log({.name = options.name});
  if (!started_by_mpi()) {
    const auto single = make_single_communicator();
    RETURN_IF_ERROR(row_traced(*single, options, start, false));
    return kExitDone;
  }
  ASSIGN_OR_RETURN(const auto mpi, MpiSession::start());
  const auto world = mpi->world_communicator();
  const Status rowed = row_traced(*world, options, start, true);
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
