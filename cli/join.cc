// regatta join RUN: this process, or all that one mpirun or srun has started, as crews of a running study.
#include <fmt/format.h>
#include <unistd.h>

#include <span>
#include <utility>

#include "base/host.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/crew_record.h"
#include "cli/exit_code.h"
#include "cli/guest.h"
#include "cli/guest_cores.h"
#include "cli/interrupts.h"
#include "cli/invitation.h"
#include "cli/output.h"
#include "cli/study_folder.h"
#include "collectives/mpi_communicator.h"
#include "coordinator/learned.h"
#include "devices/assignment.h"
#include "worker/agreement.h"
#include "worker/crew.h"
#include "worker/rank_cpus.h"

namespace regatta {
namespace {

constexpr CollectiveOptions kPatient{.timeout = std::chrono::minutes(15)};  // rank 0 waits for a coordinator

struct JoinRequest {
  std::string run;
  int ranks = 0;               // a crew; 0: all processes are one crew
  std::optional<int> threads;  // a rank; else as the experiment says, or the cores that there are
  std::optional<int> lanes;    // else as the experiment says
};

// nullopt: the study has ended, which has been said.
Result<std::optional<GuestInvitation>> find_invitation(const JoinRequest& request, int processes) {
  ASSIGN_OR_RETURN(const std::filesystem::path folder, find_study(request.run));
  GuestInvitation invitation;
  invitation.folder = std::filesystem::absolute(folder).lexically_normal().string();
  invitation.ranks = request.ranks > 0 ? request.ranks : processes;
  if (invitation.ranks > processes) {
    return user_mistake(
        fmt::format("--ranks {}: a crew of so many ranks needs as many processes: start it as "
                    "mpirun -n {} regatta join {}",
                    invitation.ranks, invitation.ranks, request.run));
  }
  ASSIGN_OR_RETURN(const StoredStudy study, Store::read(folder));
  invitation.experiment_yaml = study.experiment_yaml;
  invitation.experiment_file = study.experiment_file;
  invitation.learned = study.learned;
  ASSIGN_OR_RETURN(const Experiment experiment,
                   parse_experiment(study.experiment_yaml, study.experiment_file));
  if (is_table_study(experiment)) {
    return user_mistake("a study that looks its trials up in a table has no crews to join");
  }
  ASSIGN_OR_RETURN(const bool runs, await_coordinator(folder));
  if (!runs) {
    print_out("{} has ended: there is nothing left to do\n", folder.string());
    return std::optional<GuestInvitation>();
  }
  invitation.overrides = earlier_overrides(folder);
  invitation.overrides.push_back(fmt::format("resources.ranks={}", invitation.ranks));
  if (request.threads) {
    invitation.overrides.push_back(fmt::format("resources.threads={}", *request.threads));
  }
  if (request.lanes) {
    invitation.overrides.push_back(fmt::format("resources.lanes={}", *request.lanes));
  }
  ASSIGN_OR_RETURN(const Experiment asked,
                   parse_experiment(study.experiment_yaml, study.experiment_file, invitation.overrides));
  const Node section = asked.section_or_empty("resources");
  ASSIGN_OR_RETURN(const Resources resources, read_resources(section, usable_cores()));
  invitation.threads = section.find("threads") == nullptr ? 0 : resources.threads;
  invitation.bind = resources.bind;
  return std::optional(std::move(invitation));
}

// The leader tries what it will be asked to do: a host without the data, or whose processor lacks what the
// experiment wants, would only fail the study's trials.
Result<std::unique_ptr<StudyPlan>> plan_for(const GuestInvitation& invitation, bool is_leader) {
  ASSIGN_OR_RETURN(auto learned, decode_learned(invitation.learned));
  ASSIGN_OR_RETURN(Experiment experiment, parse_experiment(invitation.experiment_yaml,
                                                           invitation.experiment_file, invitation.overrides));
  return plan_study(std::move(experiment), {.check_training = is_leader, .learned = std::move(learned)});
}

// How a rank's crew stands among the crews that have come together.
struct Neighbours {
  int crews = 1;         // led on this host
  int crew = 0;          // which of them is this rank's
  bool is_whole = true;  // all ranks of this rank's crew are here
};

Neighbours neighbours_of(std::span<const RankMask> masks, int rank, int ranks_per_crew) {
  const std::string& here = masks[static_cast<std::size_t>(rank)].host;
  const int crew = rank / ranks_per_crew;
  Neighbours found{.crews = 0};
  for (int other = 0; other < static_cast<int>(masks.size()); ++other) {
    const bool is_here = masks[static_cast<std::size_t>(other)].host == here;
    if (is_here && other % ranks_per_crew == 0) {
      found.crew = other / ranks_per_crew == crew ? found.crews : found.crew;
      ++found.crews;
    }
    found.is_whole = found.is_whole && (is_here || other / ranks_per_crew != crew);
  }
  return found;
}

// A crew on one host gets cards of its own among those of the crews that have come together; ranks of one
// over several hosts take the cards that they see.
Result<std::optional<int>> settle_cards(StudyPlan& plan, const Neighbours& neighbours) {
  Resources& resources = plan.resources;
  resources.hosts.clear();        // who started these processes has chosen the hosts,
  resources.launcher = "mpirun";  // and what they have of an allocation
  if (!neighbours.is_whole) {
    const bool has_cards = resources.device != "cpu" && cards_for(plan).count > 0;
    return has_cards ? std::optional(resources.ranks_per_gpu) : std::nullopt;
  }
  resources.crews = std::max(1, neighbours.crews);
  RETURN_IF_ERROR(settle_devices(plan, resources.crews));
  if (resources.cards.empty()) {
    return std::optional<int>();
  }
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const auto inherited = visible == nullptr ? std::nullopt : std::optional<std::string>(visible);
  const auto& mine = resources.cards.at(static_cast<std::size_t>(neighbours.crew));
  ::setenv("CUDA_VISIBLE_DEVICES", visible_devices(inherited, mine).c_str(),
           1);  // before CUDA is first called
  return std::optional(resources.ranks_per_gpu);
}

void tell_arrival(const std::string& name, const GuestInvitation& invitation, const GuestCores& cores) {
  const std::string where =
      cores.cpus.empty() ? ""
                         : fmt::format(" (CPUs {} are the guests' on this host)", format_cpus(cores.cpus));
  print_to(stderr, "{} joins {}: {} ranks of {} threads{}; Ctrl-C saves and leaves\n", name,
           invitation.folder, invitation.ranks, cores.threads, where);
  if (!cores.why_unbound.empty()) {
    print_to(stderr, "the system chooses the CPUs: {}\n", cores.why_unbound);
  }
}

// Called by all ranks of a crew.
Status row(Communicator& crew, const GuestInvitation& invitation, const Neighbours& neighbours,
           const GuestCores& cores) {
  const std::filesystem::path folder = invitation.folder;
  const bool is_leader = crew.rank() == 0;
  auto plan = plan_for(invitation, is_leader);
  ASSIGN_OR_RETURN(const auto mistake, first_failure(crew, plan.ok() ? Status() : Status(plan.error())));
  if (mistake) {
    return user_mistake(*mistake);
  }
  auto name = is_leader ? claim_guest_name(folder) : Result<std::string>("");
  ASSIGN_OR_RETURN(const auto unnamed, first_failure(crew, name.ok() ? Status() : Status(name.error())));
  if (unnamed) {
    return failure(*unnamed);
  }
  ASSIGN_OR_RETURN(*name, broadcast_text(crew, *name));
  ASSIGN_OR_RETURN(const auto ranks_per_gpu, settle_cards(**plan, neighbours));
  CrewOptions options{.folder = folder,
                      .name = *name,
                      .threads = cores.threads,
                      .lanes = (*plan)->resources.lanes,
                      .ranks_per_gpu = ranks_per_gpu,
                      .asked_to_leave = {}};
  plan->reset();
  set_up_log({.name = *name, .file = crew_log(folder, *name)});
  if (!is_leader) {
    ignore_interrupts();
    return run_crew(crew, options);
  }
  const Interrupts interrupts({SIGINT, SIGTERM, SIGHUP, SIGUSR1});
  options.asked_to_leave = [&interrupts] {
    if (interrupts.count() > 1) {
      ::_exit(kExitInterrupted);
    }
    return interrupts.count() > 0 || interrupts.time_is_up();
  };
  tell_arrival(*name, invitation, cores);
  RETURN_IF_ERROR(write_crew_record(folder, record_of_this_process(*name, false)));
  Status rowed = run_crew(crew, options);
  remove_crew_record(folder, *name);
  if (rowed.ok()) {
    print_to(stderr, "{} has left {}: {}\n", *name, folder.string(),
             interrupts.count() > 0 || interrupts.time_is_up() ? "its trials go on elsewhere"
                                                               : "nothing is left to do");
  }
  return rowed;
}

GuestDemand demand_of(const GuestInvitation& invitation) {
  return {.ranks = invitation.ranks,
          .threads = invitation.threads > 0 ? std::optional(invitation.threads) : std::nullopt,
          .bind = invitation.bind};
}

Result<int> join_alone(const JoinRequest& request) {
  ASSIGN_OR_RETURN(const auto invitation, find_invitation(request, 1));
  if (invitation) {
    const auto single = make_single_communicator();
    ASSIGN_OR_RETURN(const auto masks, gather_masks(*single));
    ASSIGN_OR_RETURN(const GuestCores cores, settle_guest_cores(*single, masks, demand_of(*invitation)));
    RETURN_IF_ERROR(row(*single, *invitation, {}, cores));
  }
  return kExitDone;
}

// "": nothing to do, or a mistake that rank 0 tells.
Result<std::string> share_invitation(Communicator& world, const JoinRequest& request) {
  Result<std::string> text = std::string();
  if (world.rank() == 0) {
    const auto invitation = find_invitation(request, world.size());
    text = !invitation.ok() ? Result<std::string>(invitation.error())
           : *invitation    ? encode(**invitation)
                            : "";
  }
  ASSIGN_OR_RETURN(const std::string shared, broadcast_text(world, text.ok() ? *text : "", kPatient));
  return text.ok() ? Result<std::string>(shared) : text;
}

Result<int> join_under_mpi(const JoinRequest& request) {
  ASSIGN_OR_RETURN(const auto mpi, MpiSession::start());
  const auto world = mpi->world_communicator();
  ASSIGN_OR_RETURN(const std::string text, share_invitation(*world, request));
  if (text.empty()) {
    return kExitDone;
  }
  const GuestInvitation invitation = decode_guest_invitation(text);
  const int crews = world->size() / invitation.ranks;
  if (const int left = world->size() % invitation.ranks; left > 0 && world->rank() == 0) {
    print_to(stderr, "{} of {} processes are left over: {} crews of {} ranks take {}\n", left, world->size(),
             crews, invitation.ranks, world->size() - left);
  }
  const bool rows = world->rank() < crews * invitation.ranks;
  ASSIGN_OR_RETURN(auto masks, gather_masks(*world, rows));
  ASSIGN_OR_RETURN(const GuestCores cores, settle_guest_cores(*world, masks, demand_of(invitation)));
  masks.resize(static_cast<std::size_t>(crews * invitation.ranks));
  const auto crew = mpi->split(rows ? world->rank() / invitation.ranks : -1);
  if (crew == nullptr) {
    return kExitDone;
  }
  const Status rowed = row(*crew, invitation, neighbours_of(masks, world->rank(), invitation.ranks), cores);
  if (rowed.ok()) {
    return kExitDone;
  }
  if (rowed.error().kind ==
      Error::Kind::user_mistake) {  // of all ranks of this crew alike; others may row on
    return crew->rank() == 0 ? report_error(rowed.error()) : kExitDone;
  }
  mpi->abandon();  // this exit without MPI_Finalize makes the launcher end the other ranks
  return rowed.error();
}

}  // namespace

void add_join_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "join", "work for a running study as one more crew; alone, or with all processes of mpirun or srun");
  const auto request = std::make_shared<JoinRequest>();
  command->add_option("RUN", request->run, "the study's folder, or its name under runs/")->required();
  command->add_option("--ranks", request->ranks, "split the processes into crews of so many ranks")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--threads", request->threads, "of each rank, in place of resources.threads")
      ->check(CLI::Range(1, 4096));
  command->add_option("--lanes", request->lanes, "trials trained at once, in place of resources.lanes")
      ->check(CLI::Range(1, 1'000'000));
  command->callback([request, &action] {
    action = [request] { return started_by_mpi() ? join_under_mpi(*request) : join_alone(*request); };
  });
}

}  // namespace regatta
