// Rank 0 checks the file alone and then tells the others what they are.
#include "cli/mpi_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/host.h"
#include "base/log.h"
#include "cli/crew_record.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "collectives/mpi_communicator.h"
#include "devices/assignment.h"
#include "worker/crew.h"
#include "worker/rank_cpus.h"

namespace regatta {
namespace {

constexpr CollectiveOptions kPatient{.timeout = std::chrono::minutes(10)};  // rank 0 reads the data meanwhile

// What rank 0 tells every rank: plain bytes, so that one broadcast carries it.
struct Invitation {
  int welcome = 0;  // 0: rank 0 has found a mistake and nothing will run
  int crews = 0;
  int ranks = 0;
  int threads = 1;
  int lanes = 1;
  int ranks_per_gpu = 0;  // 0: the crews compute on CPUs
  int bind = 0;           // 1: ranks that share CPUs take a part each
  std::array<char, 4096> folder{};
  std::array<char, 16384> cards{};  // CUDA_VISIBLE_DEVICES of each crew, with a ';' after each
};

template <class T>
std::span<std::byte> bytes_of(T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return std::as_writable_bytes(std::span(&value, 1));
}

// Crews of this mode reach the coordinator through the loopback interface.
Status check_one_host(Communicator& world) {
  std::array<char, 256> mine{};
  const std::string host = host_name();
  std::memcpy(mine.data(), host.data(), std::min(host.size(), mine.size() - 1));
  std::vector<char> hosts(mine.size() * static_cast<std::size_t>(world.size()));
  RETURN_IF_ERROR(
      world.allgather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(hosts)), kPatient));
  for (int rank = 0; rank < world.size(); ++rank) {
    const std::string other = hosts.data() + static_cast<std::size_t>(rank) * mine.size();
    if (other != hosts.data()) {
      return user_mistake(
          fmt::format("rank {} is on host {} and rank 0 on {}: one mpirun over several hosts is "
                      "not supported yet",
                      rank, other, hosts.data()));
    }
  }
  return {};
}

bool gives_threads(const Experiment& experiment) {
  const Node* section = experiment.section("resources");
  return section != nullptr && section->find("threads") != nullptr;
}

Status tell_cards(const Resources& resources, Invitation& invitation) {
  if (resources.cards.empty()) {
    return {};
  }
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const auto inherited = visible == nullptr ? std::nullopt : std::optional<std::string>(visible);
  std::string text;
  for (const std::vector<int>& cards : resources.cards) {
    text += visible_devices(inherited, cards) + ";";
  }
  if (text.size() >= invitation.cards.size()) {
    return user_mistake(
        "the list of all crews' cards is too long for a run under one mpirun: start fewer crews");
  }
  std::memcpy(invitation.cards.data(), text.data(), text.size());
  invitation.ranks_per_gpu = resources.ranks_per_gpu;
  return {};
}

std::string cards_of_crew(const Invitation& invitation, int crew) {
  std::string_view rest = invitation.cards.data();
  for (int i = 0; i < crew; ++i) {
    rest.remove_prefix(rest.find(';') + 1);
  }
  return std::string(rest.substr(0, rest.find(';')));
}

// Rank 0's part up to the broadcast: the session, with as many crews as the processes make.
Result<std::unique_ptr<Session>> open_session(const NewStudy& request, int processes,
                                              Invitation& invitation) {
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
  invitation.crews = resources.crews;
  invitation.ranks = resources.ranks;
  if (!gives_threads(plan->experiment)) {
    resources.threads = std::max(1, usable_cores() / (resources.crews * resources.ranks));
  }
  RETURN_IF_ERROR(settle_devices(*plan, resources.crews));
  RETURN_IF_ERROR(tell_cards(resources, invitation));
  invitation.threads = resources.threads;
  invitation.lanes = resources.lanes;
  invitation.bind = resources.bind ? 1 : 0;
  ASSIGN_OR_RETURN(auto session, Session::create(request, std::move(plan), nullptr));
  const std::string folder = std::filesystem::absolute(session->folder()).string();
  if (folder.size() >= invitation.folder.size()) {
    return user_mistake("the path of the study's folder is too long: " + folder);
  }
  std::memcpy(invitation.folder.data(), folder.data(), folder.size());
  invitation.welcome = 1;
  return session;
}

// Of all ranks, those that do not compute included.
Status divide_cpus(Communicator& world, const Invitation& invitation) {
  if (invitation.bind == 0) {
    return {};
  }
  return divide_cpus(world, {.computes = crew_of_rank(world.rank(), invitation.ranks, invitation.crews) >= 0,
                             .ranks = invitation.ranks,
                             .threads = invitation.threads});
}

Status row(Communicator& crew, const std::string& name, const Invitation& invitation) {
  const std::filesystem::path folder = invitation.folder.data();
  ignore_interrupts();  // rank 0 tells the crews what an interrupt means
  set_up_log({.name = name, .file = crew_log(folder, name)});
  if (crew.rank() == 0) {
    RETURN_IF_ERROR(write_crew_record(folder, record_of_this_process(name, false)));
  }
  CrewOptions options{.folder = folder,
                      .name = name,
                      .threads = invitation.threads,
                      .lanes = invitation.lanes,
                      .ranks_per_gpu = {}};
  if (invitation.ranks_per_gpu > 0) {
    options.ranks_per_gpu = invitation.ranks_per_gpu;
  }
  Status rowed = run_crew(crew, options);
  if (crew.rank() == 0 && rowed.ok()) {
    remove_crew_record(folder, name);
  }
  return rowed;
}

Result<int> coordinate(MpiSession& mpi, Communicator& world, const NewStudy& request) {
  Invitation invitation;
  auto session = open_session(request, world.size(), invitation);
  RETURN_IF_ERROR(world.broadcast(bytes_of(invitation), 0, kPatient));
  if (!session.ok()) {
    return session.error();
  }
  RETURN_IF_ERROR(divide_cpus(world, invitation));
  mpi.split(-1);
  Result<int> code = (*session)->run();
  if (!code.ok() || *code != kExitDone) {
    mpi.abandon();  // crews that did not end are ended by mpirun
  }
  return code;
}

Result<int> join(MpiSession& mpi, Communicator& world) {
  Invitation invitation;
  RETURN_IF_ERROR(world.broadcast(bytes_of(invitation), 0, kPatient));
  if (invitation.welcome == 0) {
    return kExitDone;  // rank 0 tells why
  }
  RETURN_IF_ERROR(divide_cpus(world, invitation));
  const int crew = crew_of_rank(world.rank(), invitation.ranks, invitation.crews);
  const auto communicator = mpi.split(crew);
  if (communicator == nullptr) {
    return kExitDone;
  }
  if (invitation.ranks_per_gpu > 0) {
    ::setenv("CUDA_VISIBLE_DEVICES", cards_of_crew(invitation, crew).c_str(),
             1);  // before CUDA is first called
  }
  const Status rowed = row(*communicator, fmt::format("crew-{}.1", crew), invitation);
  if (!rowed.ok()) {
    mpi.abandon();
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

int crew_of_rank(int rank, int ranks_per_crew, int crews) {
  const int crew = rank == 0 ? -1 : (rank - 1) / ranks_per_crew;
  return crew < crews ? crew : -1;
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
  if (const Status one_host = check_one_host(*world); !one_host.ok()) {
    return launch.rank == 0 ? Result<int>(one_host.error()) : Result<int>(kExitUsersMistake);
  }
  return launch.rank == 0 ? coordinate(*mpi, *world, request) : join(*mpi, *world);
}

}  // namespace regatta
