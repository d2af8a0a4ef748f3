// regatta run FILE
#include "base/trace.h"
#include "cli/commands.h"
#include "cli/host_check.h"
#include "cli/mpi_run.h"
#include "cli/session.h"
#include "cli/table_session.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

Result<int> run(const NewStudy& request) {
  if (started_by_mpi()) {
    return run_under_mpi(request);
  }
  ASSIGN_OR_RETURN(auto plan, Session::check(request));
  if (is_table_study(plan->experiment)) {
    if (!request.trace.empty()) {
      return user_mistake(
          "--trace: a study that looks its trials up in a table computes nothing to be shown");
    }
    return run_table_study(request, std::move(plan));
  }
  RETURN_IF_ERROR(settle_resources(*plan, request.runs / plan->experiment.name));
  plan->resources.trace = !request.trace.empty();
  ASSIGN_OR_RETURN(auto launcher, make_launcher(plan->resources));
  ASSIGN_OR_RETURN(const auto session, Session::create(request, std::move(plan), std::move(launcher)));
  ASSIGN_OR_RETURN(const int code, session->run());
  if (!request.trace.empty()) {
    RETURN_IF_ERROR(join_traces(traces_folder(session->folder()), request.trace));
  }
  return code;
}

}  // namespace

void add_run_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("run", "run the study that FILE describes, into runs/<name>/");
  const auto request = std::make_shared<NewStudy>();
  const auto crews = std::make_shared<int>(0);
  command->add_option("FILE", request->file, "the experiment (YAML)")->required();
  command
      ->add_option("--set", request->overrides,
                   "change a value of the file: KEY=VALUE, e.g. search.stop.trials=50; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--name", request->name, "the study's name, in place of the experiment's");
  command->add_option("--runs-dir", request->runs, "where the study's folder is made")->capture_default_str();
  command->add_option(
      "--trace", request->trace,
      "write a timeline of all ranks for chrome://tracing or Perfetto: the latest 200,000 spans "
      "of each");
  command->add_option("--crews", *crews, "how many trials train at once, in place of resources.crews");
  command->callback([request, crews, command, &action] {
    if (command->count("--crews") > 0) {
      request->overrides.push_back("resources.crews=" + std::to_string(*crews));
    }
    action = [request] { return run(*request); };
  });
}

}  // namespace regatta
