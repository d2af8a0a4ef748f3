// regatta worker: one rank of a crew, started by a launcher.
#include "base/log.h"
#include "cli/commands.h"
#include "cli/crew_record.h"
#include "cli/exit_code.h"
#include "collectives/mpi_communicator.h"
#include "worker/crew.h"

namespace regatta {
namespace {

Status row(Communicator& communicator, const CrewOptions& options, bool by_mpirun) {
  if (communicator.rank() == 0) {
    const CrewRecord record = record_of_this_process(options.name, by_mpirun);
    RETURN_IF_ERROR(write_crew_record(options.folder, record));
  }
  return run_crew(communicator, options);
}

Result<int> work(const CrewOptions& options) {
  set_up_log({.name = options.name});
  if (!started_by_mpi()) {
    const auto single = make_single_communicator();
    RETURN_IF_ERROR(row(*single, options, false));
    return kExitDone;
  }
  ASSIGN_OR_RETURN(const auto mpi, MpiSession::start());
  const auto world = mpi->world_communicator();
  const Status rowed = row(*world, options, true);
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
  command->add_option("--lanes", options->lanes, "trials trained at once")->check(CLI::Range(1, 1'000'000));
  command->callback([options, &action] { action = [options] { return work(*options); }; });
}

}  // namespace regatta
