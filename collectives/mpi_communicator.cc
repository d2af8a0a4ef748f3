// The life of MPI in this process, and what the environment tells of the launcher.
#include "collectives/mpi_communicator.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "collectives/mpi_collectives.h"
#include "collectives/shared_memory.h"

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

// Through shared memory where all ranks are on one host.
std::unique_ptr<Communicator> communicator_of(MPI_Comm group, bool owns) {
  if (auto shared = SharedMemoryCommunicator::make(group, owns)) {
    return shared;
  }
  return std::make_unique<MpiCommunicator>(group, owns);
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

Status check_world_size(int mpi_size) {
  const auto from_mpirun = size_from_mpirun();
  const int started = from_mpirun ? *from_mpirun : in_slurm_step() ? tasks_of_slurm_step() : 1;
  if (mpi_size > 1 || started <= 1) {
    return {};
  }
  return user_mistake(
      fmt::format("{} processes were started together, but MPI takes each for rank 0 of 1. {}", started,
                  from_mpirun ? "Is this mpirun of the MPI that regatta was built with?"
                              : "Start them with `srun --mpi=pmix` (`srun --mpi=list` shows what is there)"));
}

Result<std::unique_ptr<MpiSession>> MpiSession::start() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  CHECK(initialized == 0, "MPI can be started once in a process");
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
  if (!abandoned_ && !MpiCommunicator::any_broken()) {
    MPI_Finalize();
  }
}

MpiLaunch MpiSession::world() const {
  MpiLaunch launch;
  MPI_Comm_rank(MPI_COMM_WORLD, &launch.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &launch.size);
  return launch;
}

std::unique_ptr<Communicator> MpiSession::world_communicator() {
  return communicator_of(MPI_COMM_WORLD, /*owns=*/false);
}

std::unique_ptr<Communicator> MpiSession::split(int colour) {
  MPI_Comm group = MPI_COMM_NULL;
  const int code = MPI_Comm_split(MPI_COMM_WORLD, colour < 0 ? MPI_UNDEFINED : colour, world().rank, &group);
  CHECK(code == MPI_SUCCESS, "MPI_Comm_split failed");
  if (group == MPI_COMM_NULL) {
    return nullptr;
  }
  return communicator_of(group, /*owns=*/true);
}

}  // namespace regatta
