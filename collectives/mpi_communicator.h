// Communicator over MPI, and the life of MPI in a process.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

// Whether this process was started by mpirun or srun (from the environment; does not touch MPI).
struct MpiLaunch {
  int rank = 0;
  int size = 1;
};
bool started_by_mpi();

// MPI_Init to MPI_Finalize. At most one in a process.
class MpiSession {
 public:
  static Result<std::unique_ptr<MpiSession>> start();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  MpiLaunch world() const;
  // All ranks of the world.
  std::unique_ptr<Communicator> world_communicator();
  // The ranks with the same colour, ordered as in the world; collective over the world. Negative: in no
  // group, nullptr.
  std::unique_ptr<Communicator> split(int colour);
  // After an error MPI_Finalize may hang: makes the destructor skip it.
  void abandon() { abandoned_ = true; }

 private:
  MpiSession() = default;
  bool abandoned_ = false;
};

}  // namespace regatta
