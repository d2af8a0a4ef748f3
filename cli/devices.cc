// regatta devices [FILE]: what this host has to compute on, and what each crew of an experiment would get of
// it.
#include "devices/devices.h"

#include <fmt/format.h>

#include "base/host.h"
#include "cli/commands.h"
#include "cli/device_text.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/study_plan.h"
#include "cli/table.h"
#include "cluster/slurm_room.h"
#include "devices/nvml.h"
#include "devices/processors.h"

namespace regatta {
namespace {

void print_processors() {
  const Processors found = find_processors();
  const int usable = usable_cores();
  if (found.cores > 0) {
    print_out("CPU: {} core{}, {} thread{}; {} can be used here\n", found.cores, found.cores == 1 ? "" : "s",
              found.threads, found.threads == 1 ? "" : "s", usable);
  } else {
    print_out("CPU: {} can be used here\n", usable);
  }
}

void print_cards(const FoundDevices& found, const Nvml* nvml) {
  if (found.cards.empty()) {
    print_out("cards: none; {}\n", found.why_none);
    return;
  }
  print_out("cards:\n");
  Table table({{"card", Table::Align::right},
               {"name"},
               {"capability"},
               {"memory", Table::Align::right},
               {"free", Table::Align::right},
               {"busy", Table::Align::right},
               {"bus"}});
  for (const Card& card : found.cards) {
    const auto use = nvml == nullptr ? Result<CardUse>(failure("")) : nvml->use_of(card.bus);
    table.add({std::to_string(card.index), card.name,
               fmt::format("{}.{}", card.capability_major, card.capability_minor),
               format_memory(card.memory_bytes), use.ok() ? format_memory(use->free_bytes) : "-",
               use.ok() && use->utilization ? fmt::format("{:.0f} %", *use->utilization * 100) : "-",
               card.bus});
  }
  print_out("{}", table.str("  "));
}

void print_versions(const FoundDevices& found, const Nvml* nvml) {
  std::vector<std::string> versions;
  if (const auto driver = nvml == nullptr ? std::nullopt : nvml->driver_version()) {
    versions.push_back("driver " + *driver);
  }
  for (const LibraryVersion& library : found.versions) {
    versions.push_back(library.library + " " + library.version);
  }
  if (!versions.empty()) {
    print_out("versions: {}\n", fmt::join(versions, ", "));
  }
}

struct DevicesOptions {
  std::filesystem::path file;  // empty: none
  std::vector<std::string> overrides;
};

Result<int> devices(const DevicesOptions& options) {
  const FoundDevices found = find_devices();
  const auto nvml = Nvml::open();
  const Nvml* meter = nvml.ok() ? nvml->get() : nullptr;
  print_out("host {}\n", host_name());
  print_processors();
  print_cards(found, meter);
  print_versions(found, meter);
  if (options.file.empty()) {
    return kExitDone;
  }
  ASSIGN_OR_RETURN(Experiment experiment, load_experiment(options.file, options.overrides));
  ASSIGN_OR_RETURN(const auto plan, plan_study(std::move(experiment), {.check_training = false}));
  if (is_table_study(plan->experiment)) {
    print_out("\n{}: trials are looked up in a table, by {} simulated crews\n", plan->experiment.name,
              plan->resources.crews);
    return kExitDone;
  }
  if (!plan->resources.hosts.empty()) {
    print_out("\n{}: on the hosts {}; `regatta hosts FILE` tries them\n", plan->experiment.name,
              describe(plan->resources.hosts));
    return kExitDone;
  }
  if (awaits_allocation(plan->resources)) {
    print_out("\n{}: as steps of the Slurm job that `regatta submit FILE` asks for\n", plan->experiment.name);
    return kExitDone;
  }
  RETURN_IF_ERROR(settle_devices(*plan));
  print_out("\n{}:\n{}", plan->experiment.name, describe_crews(plan->resources, found));
  if (!plan->resources.on_cards() && plan->experiment.section("command") != nullptr &&
      plan->resources.device == "auto") {
    print_out("  the command sees every card there is; `device: cuda` deals them out\n");
  }
  if (!plan->resources.why_cpus.empty()) {
    print_out("  {}; `ranks_per_gpu: N` lets them share\n", plan->resources.why_cpus);
  }
  if (!plan->resources.why_unbound.empty()) {
    print_out("  the system chooses the CPUs: {}\n", plan->resources.why_unbound);
  }
  if (const auto warning = oversubscription_warning(plan->resources, usable_cores())) {
    print_out("  {}\n", *warning);
  }
  return kExitDone;
}

}  // namespace

void add_devices_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("devices", "what there is to compute on, and what each crew of FILE would get");
  const auto options = std::make_shared<DevicesOptions>();
  command->add_option("FILE", options->file, "an experiment (YAML)");
  command->add_option("--set", options->overrides, "change a value of the file: KEY=VALUE; may be repeated")
      ->allow_extra_args(false);
  command->callback([options, &action] { action = [options] { return devices(*options); }; });
}

}  // namespace regatta
