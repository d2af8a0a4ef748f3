// A crew: the leader talks to the coordinator, all ranks train together.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

struct CrewOptions {
  std::filesystem::path folder;  // of the study: its keys and the coordinator's address stand there
  std::string name;              // unique for this start of the crew, e.g. "crew-0.2"
  int threads = 1;               // a rank
  int lanes = 1;                 // attempts at once; 0: as many as the ranks' cards have memory for
  // Each rank computes on one of the cards that it sees, which so many ranks may share; nullopt: on CPUs.
  std::optional<int> ranks_per_gpu;
  bool takes_over = false;  // from another crew, which trains until this one says that it has its data
  // Of a guest, a crew that nobody starts again: whether it is to save and leave, asked on the leader from
  // time to time. It stays when the coordinator goes and is expected back.
  std::function<bool()> asked_to_leave;
};

// Runs attempts until the coordinator dismisses the crew, or stays away for longer than the orphan limit, or
// the crew is asked to leave.
// Called by every rank of the crew. Errors end the process: the launcher starts the crew again.
Status run_crew(Communicator& communicator, const CrewOptions& options);

}  // namespace regatta
