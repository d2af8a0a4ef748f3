// regatta resume RUN
#include "cli/commands.h"
#include "cli/mpi_run.h"
#include "cli/session.h"
#include "cli/table_session.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

struct ResumeOptions {
  std::string run;
  OldStudy request;
};

Result<int> resume(ResumeOptions& options) {
  if (started_by_mpi()) {
    return refuse_under_mpi();
  }
  ASSIGN_OR_RETURN(options.request.folder, find_study(options.run));
  ASSIGN_OR_RETURN(const StoredStudy stored, Store::read(options.request.folder));
  ASSIGN_OR_RETURN(const Experiment experiment,
                   parse_experiment(stored.experiment_yaml, stored.experiment_file));
  if (is_table_study(experiment)) {
    return resume_table_study(options.request);
  }
  ASSIGN_OR_RETURN(const auto session, Session::reopen(options.request));
  return session->run();
}

}  // namespace

void add_resume_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("resume", "go on with a study that was interrupted, killed or has ended");
  const auto options = std::make_shared<ResumeOptions>();
  command->add_option("RUN", options->run, "the study's folder, or its name under runs/")->required();
  command->add_flag("--retry-failed", options->request.retry_failed, "try failed trials again");
  command
      ->add_option(
          "--set", options->request.overrides,
          "change search.stop.… or resources.…, e.g. search.stop.trials=200 (a total); kept for later")
      ->allow_extra_args(false);
  command->callback([options, &action] { action = [options] { return resume(*options); }; });
}

}  // namespace regatta
