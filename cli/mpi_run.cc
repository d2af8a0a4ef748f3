// Rank 0 checks the file alone and then tells the others what they are.
#include "cli/mpi_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "base/host.h"
#include "base/log.h"
#include "cli/crew_record.h"
#include "cli/exit_code.h"
#include "cli/host_check.h"
#include "cli/invitation.h"
#include "cli/output.h"
#include "cli/rank_crews.h"
#include "cli/rank_survey.h"
#include "cli/study_cores.h"
#include "cluster/binding.h"
#include "collectives/mpi_communicator.h"
#include "devices/assignment.h"
#include "worker/agreement.h"
#include "worker/crew.h"
#include "worker/rank_cpus.h"

namespace regatta {
namespace {

constexpr CollectiveOptions kPatient{.timeout = std::chrono::minutes(10)};  // rank 0 reads the data meanwhile

int crews_in(const StudyInvitation& invitation) {
  return 1 + *std::ranges::max_element(invitation.crew_of_rank);
}

bool gives_threads(const Experiment& experiment) {
  const Node* section = experiment.section("resources");
  return section != nullptr && section->find("threads") != nullptr;
}

std::vector<std::string> hosts_of(const RankSeats& seats) {
  std::vector<std::string> hosts;
  for (const CrewRank& rank : seats.ranks) {
    hosts.push_back(rank.host);
  }
  return hosts;
}

// Rank 0's part before anything is asked: what the file says, with as many crews as the processes make.
Result<std::unique_ptr<StudyPlan>> prepare(const NewStudy& request, int processes) {
  ASSIGN_OR_RETURN(auto plan, Session::check(request));
  if (is_table_study(plan->experiment)) {
    return user_mistake(
        "a study that looks its trials up in a table has no processes: run it without mpirun");
  }
  if (!request.trace.empty()) {
    return user_mistake(
        "--trace is not for runs under mpirun: start regatta run alone, and it starts the crews itself");
  }
  Resources& resources = plan->resources;
  resources.hosts.clear();  // mpirun has chosen the hosts
  resources.crews = (processes - 1) / resources.ranks;
  if (resources.crews == 0) {
    return user_mistake(
        fmt::format("{} MPI processes are too few for one crew of {} ranks beside rank 0, which coordinates: "
                    "give mpirun -n {}",
                    processes, resources.ranks, resources.ranks + 1));
  }
  if (const int left = (processes - 1) % resources.ranks; left > 0) {
    print_to(stderr, "{} of {} MPI processes are left over: {} crews of {} ranks and rank 0 take {}\n", left,
             processes, resources.crews, resources.ranks, processes - left);
  }
  return plan;
}

Status settle_one_host(StudyPlan& plan, StudyInvitation& invitation) {
  Resources& resources = plan.resources;
  if (!gives_threads(plan.experiment)) {
    resources.threads = std::max(1, usable_cores() / (resources.crews * resources.ranks));
  }
  RETURN_IF_ERROR(settle_devices(plan, resources.crews));
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const auto inherited = visible == nullptr ? std::nullopt : std::optional<std::string>(visible);
  for (const std::vector<int>& cards : resources.cards) {
    invitation.cards.push_back({{host_name(), visible_devices(inherited, cards)}});
  }
  return {};
}

Status settle_several_hosts(Communicator& world, const RankSeats& seats, StudyPlan& plan,
                            const std::filesystem::path& folder, StudyInvitation& invitation) {
  Resources& resources = plan.resources;
  ASSIGN_OR_RETURN(const RankSurvey survey, survey_ranks(world, seats, plan, folder));
  RETURN_IF_ERROR(refuse_troubles(survey.reports));
  resources.address = survey.address;
  std::vector<HostFacts> facts;
  const auto room = room_for_crews(hosts_of(seats));
  for (HostFacts& host : facts_of(survey.reports, why_no_cards(plan))) {
    host.slots = std::ranges::find(room, host.name, &RoomOnHost::host)->slots;
    if (host.slots > 0) {
      facts.push_back(std::move(host));
    }
  }
  RETURN_IF_ERROR(settle_hosts(resources, plan.resources_section, facts, resources.crews));
  for (const CrewPlace& place : resources.places) {
    auto& cards = invitation.cards.emplace_back();
    for (const PlacedRanks& part : place) {
      cards[part.host] = visible_devices(std::nullopt, part.cards);
    }
  }
  if (resources.places.front().front().cards.empty()) {
    invitation.cards.clear();
  }
  return {};
}

// Rank 0's part up to the invitation. The other ranks take part in the survey, if there is one.
Result<std::unique_ptr<Session>> open_session(const NewStudy& request, Communicator& world,
                                              const RankSeats& seats, StudyInvitation& invitation) {
  auto prepared = prepare(request, world.size());
  if (!prepared.ok()) {
    RETURN_IF_ERROR(seats.one_host ? Status() : call_off_survey(world));
    return prepared.error();
  }
  std::unique_ptr<StudyPlan> plan = std::move(prepared).value();
  const Resources& resources = plan->resources;
  const auto folder = request.runs / plan->experiment.name;
  std::vector<CrewPlace> places;
  if (seats.one_host) {
    RETURN_IF_ERROR(settle_one_host(*plan, invitation));
    places.assign(static_cast<std::size_t>(resources.crews),
                  {{.host = host_name(), .ranks = resources.ranks}});
  } else {
    RETURN_IF_ERROR(settle_several_hosts(world, seats, *plan, folder, invitation));
    places = resources.places;
  }
  invitation.crew_of_rank = crews_of_ranks(hosts_of(seats), places);
  invitation.threads = resources.threads;
  invitation.lanes = resources.lanes;
  invitation.ranks_per_gpu = invitation.cards.empty() ? 0 : resources.ranks_per_gpu;
  invitation.bind = resources.bind && binding_variable().empty();
  NewStudy one_job = request;
  one_job.one_job = true;
  ASSIGN_OR_RETURN(auto session, Session::create(one_job, std::move(plan), make_rank_launcher()));
  invitation.folder = std::filesystem::absolute(session->folder()).string();
  return session;
}

// Of all ranks, those that do not compute included.
Status divide_cpus(Communicator& world, const StudyInvitation& invitation) {
  if (!invitation.bind) {
    return {};
  }
  return divide_cpus(world, {.computes = invitation.crew_of_rank[static_cast<std::size_t>(world.rank())] >= 0,
                             .ranks = static_cast<int>(std::ranges::count(invitation.crew_of_rank, 0)),
                             .threads = invitation.threads});
}

Status row(Communicator& crew, const CrewRank& mine, const StudyInvitation& invitation) {
  const std::filesystem::path folder = invitation.folder;
  if (crew.rank() == 0) {
    RETURN_IF_ERROR(write_crew_record(folder, record_of_this_process(mine.crew, false)));
  }
  CrewOptions options{.folder = folder,
                      .name = mine.crew,
                      .threads = invitation.threads,
                      .lanes = invitation.lanes,
                      .ranks_per_gpu = {}};
  if (invitation.ranks_per_gpu > 0) {
    options.ranks_per_gpu = invitation.ranks_per_gpu;
  }
  return run_crew(crew, options);
}

Result<int> coordinate(MpiSession& mpi, Communicator& world, const RankSeats& seats,
                       const NewStudy& request) {
  StudyInvitation invitation;
  auto session = open_session(request, world, seats, invitation);
  const auto told = broadcast_text(world, session.ok() ? encode(invitation) : "", kPatient);
  if (!session.ok()) {
    return session.error();
  }
  RETURN_IF_ERROR(told.ok() ? Status() : Status(told.error()));
  RETURN_IF_ERROR(divide_cpus(world, invitation));
  mpi.split(-1);
  Result<int> code = (*session)->run();
  const bool lost = any_crew_lost(invitation.folder, crews_in(invitation));
  if (!code.ok() || *code != kExitDone || lost) {
    mpi.abandon();  // crews that did not end are ended by mpirun, or by the word that they are lost
  }
  if (!lost || !survives_dead_ranks() || seats.one_host) {
    return code;
  }
  // Open MPI 4.1 with ranks on other hosts: mpirun waits for a dead rank's word for ever. All that is to be
  // said comes first, for the end of mpirun is the end of this process too.
  const int exit_code = code.ok() ? *code : report_error(code.error());
  std::fflush(stdout);
  if (!end_mpirun()) {
    print_to(stderr, "{}", "mpirun may not notice that all its processes have ended: stop it with Ctrl-C\n");
  }
  return exit_code;
}

Result<int> join(MpiSession& mpi, Communicator& world, RankSeats& seats) {
  RETURN_IF_ERROR(seats.one_host ? Status() : answer_survey(world, seats));
  ASSIGN_OR_RETURN(const std::string text, broadcast_text(world, "", kPatient));
  if (text.empty()) {
    return kExitDone;  // rank 0 tells why
  }
  const StudyInvitation invitation = decode_study_invitation(text);
  for (CrewRank& rank : seats.ranks) {
    const int crew = invitation.crew_of_rank[static_cast<std::size_t>(rank.rank)];
    rank.crew = crew < 0 ? "" : rank_crew_name(crew);
  }
  const CrewRank& mine = seats.ranks[static_cast<std::size_t>(world.rank())];
  const int crew = invitation.crew_of_rank[static_cast<std::size_t>(world.rank())];
  RETURN_IF_ERROR(divide_cpus(world, invitation));
  const auto communicator = mpi.split(crew);
  if (communicator == nullptr) {
    if (survives_dead_ranks()) {
      wait_for_crews(invitation.folder, crews_in(invitation));
    }
    if (any_crew_lost(invitation.folder, crews_in(invitation))) {
      mpi.abandon();
    }
    return kExitDone;
  }
  if (invitation.ranks_per_gpu > 0) {
    const auto& cards = invitation.cards[static_cast<std::size_t>(crew)];
    ::setenv("CUDA_VISIBLE_DEVICES", cards.at(mine.host).c_str(), 1);  // before CUDA is first called
  }
  ignore_interrupts();  // rank 0 tells the crews what an interrupt means
  set_up_log({.name = mine.crew, .file = crew_log(invitation.folder, mine.crew)});
  const auto claim = invitation.bind ? claim_own_cpus(invitation.folder) : std::nullopt;
  const RankWatch watch(invitation.folder, mine, seats.ranks);
  const Status rowed = row(*communicator, mine, invitation);
  if (communicator->rank() == 0 || !rowed.ok()) {
    remove_crew_record(invitation.folder, mine.crew);
    note_crew_end(invitation.folder, mine.crew, rowed.ok() ? "" : rowed.error().message);
  }
  if (!rowed.ok() || any_crew_lost(invitation.folder, crews_in(invitation))) {
    mpi.abandon();
  }
  if (!rowed.ok() && !survives_dead_ranks()) {
    return rowed.error();
  }
  return kExitDone;
}

// Whether another of the processes that were started together is the first and speaks for all.
bool is_later_process() {
  const auto is_later = [](const char* variable) {
    const char* rank = std::getenv(variable);
    return rank != nullptr && std::string_view(rank) != "0";
  };
  constexpr std::array kRanks{"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
  return std::ranges::any_of(kRanks, is_later);
}

}  // namespace

std::vector<RoomOnHost> room_for_crews(const std::vector<std::string>& host_of_rank) {
  std::vector<RoomOnHost> room;
  for (std::size_t rank = 0; rank < host_of_rank.size(); ++rank) {
    auto host = std::ranges::find(room, host_of_rank[rank], &RoomOnHost::host);
    if (host == room.end()) {
      host = room.insert(room.end(), {.host = host_of_rank[rank], .slots = 0});
    }
    host->slots += rank == 0 ? 0 : 1;
  }
  return room;
}

std::vector<int> crews_of_ranks(const std::vector<std::string>& host_of_rank,
                                const std::vector<CrewPlace>& places) {
  std::vector<int> crews(host_of_rank.size(), -1);
  for (std::size_t crew = 0; crew < places.size(); ++crew) {
    for (const PlacedRanks& part : places[crew]) {
      int wanted = part.ranks;
      for (std::size_t rank = 1; rank < host_of_rank.size() && wanted > 0; ++rank) {
        if (crews[rank] < 0 && host_of_rank[rank] == part.host) {
          crews[rank] = static_cast<int>(crew);
          --wanted;
        }
      }
      CHECK(wanted == 0, "the places are on the ranks' hosts");
    }
  }
  return crews;
}

Result<int> refuse_under_mpi() {
  if (is_later_process()) {
    return kExitDone;  // rank 0 tells why; a failure here could end it before it has done so
  }
  return user_mistake(
      "a study cannot be resumed under mpirun: start regatta resume alone, and it starts each crew itself");
}

Result<int> run_under_mpi(const NewStudy& request) {
  auto started = MpiSession::start();
  if (!started.ok()) {
    return is_later_process() ? Result<int>(kExitUsersMistake) : Result<int>(started.error());
  }
  const auto mpi = std::move(started).value();
  const MpiLaunch launch = mpi->world();
  if (launch.size == 1) {
    return user_mistake(
        "one MPI process was started, but rank 0 only coordinates and the others train: give mpirun -n 2 or "
        "more, "
        "or start regatta run without mpirun");
  }
  const auto world = mpi->world_communicator();
  ASSIGN_OR_RETURN(RankSeats seats, tell_seats(*world));
  return launch.rank == 0 ? coordinate(*mpi, *world, seats, request) : join(*mpi, *world, seats);
}

}  // namespace regatta
