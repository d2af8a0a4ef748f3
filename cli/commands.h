// The subcommands. Each adds itself to the program; the one that the user names leaves its work in `action`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "base/result.h"

namespace regatta {

// Returns the exit code, or an error that report_error() turns into one.
using Action = std::function<Result<int>()>;

void add_run_command(CLI::App& program, Action& action);
void add_resume_command(CLI::App& program, Action& action);
void add_submit_command(CLI::App& program, Action& action);
void add_stop_command(CLI::App& program, Action& action);
void add_join_command(CLI::App& program, Action& action);
void add_validate_command(CLI::App& program, Action& action);
void add_simulate_command(CLI::App& program, Action& action);
void add_ask_tell_command(CLI::App& program, Action& action);
void add_devices_command(CLI::App& program, Action& action);
void add_hosts_command(CLI::App& program, Action& action);
void add_status_command(CLI::App& program, Action& action);
void add_best_command(CLI::App& program, Action& action);
void add_trials_command(CLI::App& program, Action& action);
void add_importance_command(CLI::App& program, Action& action);
// Started by launchers only, hidden from --help.
void add_worker_command(CLI::App& program, Action& action);
// Started by coordinators on other hosts, hidden too.
void add_probe_command(CLI::App& program, Action& action);

}  // namespace regatta
