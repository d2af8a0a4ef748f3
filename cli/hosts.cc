// regatta hosts FILE: what the hosts of an experiment have, and what is in the way of crews there; and
// `regatta probe`, which each of them is asked by.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/host_check.h"
#include "cli/output.h"
#include "cli/program_version.h"
#include "cli/table.h"
#include "cluster/network.h"
#include "cluster/settle_hosts.h"

namespace regatta {
namespace {

struct HostsOptions {
  std::filesystem::path file;
  std::vector<std::string> overrides;
  std::filesystem::path runs = "runs";
};

bool print_reports(const std::vector<HostReport>& reports) {
  Table table({{"host"},
               {"slots", Table::Align::right},
               {"cores", Table::Align::right},
               {"answered in", Table::Align::right},
               {"what is wrong"}});
  bool fine = true;
  for (const HostReport& report : reports) {
    const int cores = report.answer ? report.answer->cores : 0;
    const int slots = report.host.slots > 0 ? report.host.slots : cores;
    table.add({report.host.name, slots > 0 ? std::to_string(slots) : "-",
               cores > 0 ? std::to_string(cores) : "-",
               report.answer ? fmt::format("{:.0f} ms", report.seconds * 1000) : "-",
               report.trouble.empty() ? "nothing" : report.trouble});
    fine = fine && report.trouble.empty();
  }
  print_out("{}", table.str());
  return fine;
}

Result<int> hosts(const HostsOptions& options) {
  ASSIGN_OR_RETURN(Experiment experiment, load_experiment(options.file, options.overrides));
  ASSIGN_OR_RETURN(const auto plan, plan_study(std::move(experiment), {.check_training = false}));
  if (plan->resources.hosts.empty()) {
    return user_mistake(fmt::format(
        "{} names no hosts: all crews are on this one; `resources: {{hosts: [a:4, b:4]}}` would spread them",
        options.file.string()));
  }
  const auto folder = options.runs / plan->experiment.name;
  ASSIGN_OR_RETURN(const HostCheck check, check_hosts(*plan, folder));
  if (!print_reports(check.reports)) {
    return kExitStudyFailed;
  }
  RETURN_IF_ERROR(settle_checked(*plan, check));
  ASSIGN_OR_RETURN(const std::string address, coordinator_address(plan->resources));
  print_out("{}\n", describe_places(plan->resources, address));
  if (!plan->resources.crowded.empty()) {
    print_out("{}\n", plan->resources.crowded);
  }
  return kExitDone;
}

}  // namespace

void add_hosts_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("hosts", "try every host that FILE names, and say what is wrong");
  const auto options = std::make_shared<HostsOptions>();
  command->add_option("FILE", options->file, "the experiment (YAML)")->required();
  command->add_option("--set", options->overrides, "change a value of the file: KEY=VALUE; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--runs-dir", options->runs, "where the study's folder would be made")
      ->capture_default_str();
  command->callback([options, &action] { action = [options] { return hosts(*options); }; });
}

void add_probe_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("probe", "answer what a coordinator asks; started by regatta itself");
  command->group("");  // hidden
  const auto question = std::make_shared<ProbeQuestion>();
  command->add_option("--token", question->token, "what distinguishes who asks")->required();
  command->add_option("--file", question->file, "a file that holds the token, if it is seen here");
  command->add_option("--reach", question->endpoints, "ADDRESS:PORT where the token is to be heard")
      ->allow_extra_args(false);
  command->add_option("--interface", question->interface, "that this host should have");
  command->add_flag("--cards", question->cards, "count the GPUs");
  command->callback([question, &action] {
    action = [question]() -> Result<int> {
      print_out("{}\n", encode(answer_probe(*question, program_version())));
      return kExitDone;
    };
  });
}

}  // namespace regatta
