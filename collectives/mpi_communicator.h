// Communicator over MPI, and the life of MPI in a process.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

// A process's place among those that were started together.
struct MpiLaunch {
  int rank = 0;
  int size = 1;
};

struct CrewLayout {
  // Which ranks share memory. 0: those that do. Tests and benchmarks on one machine take it for several, each
  // with so many ranks; the last one may have less.
  int ranks_per_host = 0;
  // How long a rank that gives back shared memory waits for the others to do so. Then it takes them for lost:
  // the communicator is broken, and the memory stays until the process ends.
  Microseconds free_limit = kFileLimit;
};

// Whether mpirun or srun started this process, from the environment alone:
//   OMPI_COMM_WORLD_SIZE or PMI_SIZE   mpirun of Open MPI, or of MPICH and its relatives
//   SLURM_STEP_NUM_TASKS above 1       srun; batch scripts and shells in an allocation do not count
//   PMIX_RANK outside a Slurm step     another PMIx launcher
bool started_by_mpi();

// This process's number among those that were started with it, from the environment alone: before MPI is
// started. nullopt: the launcher does not tell.
std::optional<int> rank_from_environment();

// MPI_Init to MPI_Finalize. At most one in a process, which then makes MPI calls from one thread at a time
// (MPI_THREAD_SERIALIZED). Its communicators must be gone before it.
class MpiSession {
 public:
  // A launcher that MPI does not understand makes each of its processes rank 0 of 1: an error that says so.
  static Result<std::unique_ptr<MpiSession>> start();
  // Skips MPI_Finalize after abandon() or after the first error of any communicator. End the process with
  // _exit then: MPI may still be writing to the buffers of an operation that was given up.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  MpiLaunch world() const;
  // All ranks of the world; collective over it.
  std::unique_ptr<Communicator> world_communicator(const CrewLayout& layout = {});
  // The ranks with the same colour, ordered as in the world; collective over the world. Negative: in no
  // group, nullptr.
  std::unique_ptr<Communicator> split(int colour, const CrewLayout& layout = {});
  // After an error of this rank alone: communicators, their memory and this session then end at once, without
  // waiting for the other ranks.
  void abandon();

 private:
  MpiSession() = default;
};

}  // namespace regatta
