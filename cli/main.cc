// The program: names its subcommands, runs one, turns errors into exit codes.
#include <csignal>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/program_version.h"

namespace regatta {
namespace {

void add_commands(CLI::App& program, Action& action) {
  add_run_command(program, action);
  add_resume_command(program, action);
  add_submit_command(program, action);
  add_stop_command(program, action);
  add_join_command(program, action);
  add_validate_command(program, action);
  add_simulate_command(program, action);
  add_ask_tell_command(program, action);
  add_devices_command(program, action);
  add_hosts_command(program, action);
  add_status_command(program, action);
  add_best_command(program, action);
  add_trials_command(program, action);
  add_importance_command(program, action);
  add_worker_command(program, action);
  add_probe_command(program, action);
  program.require_subcommand(1);
  program.footer(kExitCodesHelp);
  for (CLI::App* command : program.get_subcommands({})) {
    command->footer(kExitCodesHelp);
  }
}

// CLI11 would only say that an argument was not expected.
std::optional<Error> unknown_command(const CLI::App& program, int count, char** arguments) {
  if (count < 2 || arguments[1][0] == '-') {
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const CLI::App* command : program.get_subcommands({})) {
    if (!command->get_group().empty()) {
      names.push_back(command->get_name());
    }
    if (command->get_name() == arguments[1]) {
      return std::nullopt;
    }
  }
  return user_mistake("there is no command '" + std::string(arguments[1]) + "'" +
                      did_you_mean(arguments[1], names) + "; the commands are " + one_of(names));
}

int run_program(int count, char** arguments) {
  CLI::App program("Searches hyperparameters and trains every candidate data-parallel, from one YAML file.",
                   "regatta");
  program.set_version_flag("--version", "regatta " + program_version(), "print the version");
  Action action;
  add_commands(program, action);
  if (const auto mistake = unknown_command(program, count, arguments)) {
    return report_error(*mistake);
  }
  if (count < 2) {
    print_to(stderr, "{}", program.help());
    return kExitUsersMistake;
  }
  try {
    program.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kExitDone : kExitUsersMistake;
  }
  const Result<int> code = action();
  return code.ok() ? *code : report_error(code.error());
}

}  // namespace
}  // namespace regatta

int main(int count, char** arguments) {
  // `regatta run … | tee log` and Ctrl-C: tee is gone at once, the coordinator has checkpoints to wait for.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return regatta::run_program(count, arguments);
  } catch (const std::exception& error) {  // a library's, where its folder did not expect one
    return regatta::report_error(regatta::failure(error.what()));
  }
}
