// The life of MPI in this process, and what the environment tells of the launcher.
#include "collectives/mpi_communicator.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "base/log.h"
#include "collectives/mpi_collectives.h"
#include "collectives/operation_log.h"
#include "collectives/shared_memory.h"
#include "collectives/two_level.h"

namespace regatta {
namespace {

std::optional<int> number_from_environment(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) {
    return std::nullopt;
  }
  const std::string_view view(text);
  int number = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), number);
  if (error != std::errc{} || end != view.data() + view.size()) {
    return std::nullopt;
  }
  return number;
}

// mpirun of Open MPI; mpiexec of MPICH and its relatives.
std::optional<int> size_from_mpirun() {
  const auto size = number_from_environment("OMPI_COMM_WORLD_SIZE");
  return size ? size : number_from_environment("PMI_SIZE");
}

// Only srun sets it. A batch script and a shell in an allocation have SLURM_PROCID and SLURM_NTASKS too, but
// are no step of several tasks.
int tasks_of_slurm_step() { return number_from_environment("SLURM_STEP_NUM_TASKS").value_or(1); }

// Ranks with the same number share memory. A host is known by its lowest rank.
int host_of(MPI_Comm crew, int rank, int ranks_per_host) {
  if (ranks_per_host > 0) {
    return rank / ranks_per_host;
  }
  MPI_Comm here = MPI_COMM_NULL;
  if (MPI_Comm_split_type(crew, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &here) != MPI_SUCCESS) {
    return rank;
  }
  int lowest = rank;
  MPI_Bcast(&lowest, 1, MPI_INT, 0, here);
  MPI_Comm_free(&here);
  return lowest;
}

// Through shared memory within a host. `crew` becomes the communicator's own.
std::unique_ptr<Communicator> communicator_of(MPI_Comm crew, const CrewLayout& layout) {
  MPI_Comm_set_errhandler(crew, MPI_ERRORS_RETURN);
  int rank = 0;
  MPI_Comm_rank(crew, &rank);
  const int host = host_of(crew, rank, layout.ranks_per_host);
  int hosts[2] = {host, -host};  // the lowest, and the highest with its sign changed
  MPI_Allreduce(MPI_IN_PLACE, hosts, 2, MPI_INT, MPI_MIN, crew);
  const bool one_host = hosts[0] == -hosts[1];
  if (auto shared = one_host ? SharedMemoryCommunicator::make(crew, layout.free_limit)
                             : TwoLevelCommunicator::make(crew, host, layout.free_limit)) {
    return shared;
  }
  if (rank == 0) {
    spdlog::warn(
        "the ranks of this crew share no memory (is /dev/shm full?): gradients go in messages, as fp32");
  }
  return std::make_unique<MpiCommunicator>(crew);
}

bool in_slurm_step() { return std::getenv("SLURM_STEP_ID") != nullptr; }

}  // namespace

bool started_by_mpi() {
  if (size_from_mpirun()) {
    return true;
  }
  if (in_slurm_step()) {
    return std::getenv("SLURM_PROCID") != nullptr && tasks_of_slurm_step() > 1;
  }
  return std::getenv("PMIX_RANK") != nullptr;
}

std::optional<int> rank_from_environment() {
  for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"}) {
    if (const auto rank = number_from_environment(variable)) {
      return rank;
    }
  }
  return std::nullopt;
}

Status check_world_size(int mpi_size) {
  const auto from_mpirun = size_from_mpirun();
  const int started = from_mpirun ? *from_mpirun : in_slurm_step() ? tasks_of_slurm_step() : 1;
  if (mpi_size > 1 || started <= 1) {
    return {};
  }
  return user_mistake(fmt::format(
      "{} processes were started together, but MPI takes each for rank 0 of 1. {}", started,
      from_mpirun ? "Is this mpirun of the MPI that regatta was built with?"
                  : "Start regatta once, without srun: in a job (`regatta submit`, sbatch, salloc) it "
                    "makes each crew a step by itself. To start all processes at once, use `srun "
                    "--mpi=pmix` (`srun --mpi=list` shows whether it is there)"));
}

// srun without PMIx or PMI: MPI would find out by itself, but may end the process with words of its own.
bool started_without_mpi_support() {
  return in_slurm_step() && !size_from_mpirun() && std::getenv("PMIX_RANK") == nullptr &&
         std::getenv("PMI_RANK") == nullptr;
}

Result<std::unique_ptr<MpiSession>> MpiSession::start() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  CHECK(initialized == 0, "MPI can be started once in a process");
  if (started_without_mpi_support()) {
    RETURN_IF_ERROR(check_world_size(1));
  }
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
    return failure("MPI_Init_thread failed");
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  std::unique_ptr<MpiSession> session(new MpiSession);
  if (provided < MPI_THREAD_SERIALIZED) {
    return failure("this MPI was built without support for threads (MPI_THREAD_SERIALIZED)");
  }
  RETURN_IF_ERROR(check_world_size(session->world().size));
  return session;
}

MpiSession::~MpiSession() {
  if (mpi_is_usable()) {
    MPI_Finalize();
  }
}

void MpiSession::abandon() { give_up_mpi(); }

MpiLaunch MpiSession::world() const {
  MpiLaunch launch;
  MPI_Comm_rank(MPI_COMM_WORLD, &launch.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &launch.size);
  return launch;
}

std::unique_ptr<Communicator> MpiSession::world_communicator(const CrewLayout& layout) {
  MPI_Comm crew = MPI_COMM_NULL;
  const int code = MPI_Comm_dup(MPI_COMM_WORLD, &crew);
  CHECK(code == MPI_SUCCESS, "MPI_Comm_dup failed");
  return communicator_of(crew, layout);
}

std::unique_ptr<Communicator> MpiSession::split(int colour, const CrewLayout& layout) {
  MPI_Comm group = MPI_COMM_NULL;
  const int code = MPI_Comm_split(MPI_COMM_WORLD, colour < 0 ? MPI_UNDEFINED : colour, world().rank, &group);
  CHECK(code == MPI_SUCCESS, "MPI_Comm_split failed");
  if (group == MPI_COMM_NULL) {
    return nullptr;
  }
  return communicator_of(group, layout);
}

}  // namespace regatta
