// Runs one of Slurm's clients to its end and takes what it prints.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

struct ClientOutput {
  int code = 0;
  std::string output;
  std::string errors;  // what it wrote to its standard error
};

// Fails where the program is not there, is killed, or takes longer than `limit`: then it is ended. An exit
// code is the caller's to judge.
Result<ClientOutput> run_client(const std::vector<std::string>& command, Microseconds limit);

// As above, and any exit code but 0 is a failure with what the program has said.
Result<std::string> ask_client(const std::vector<std::string>& command, Microseconds limit);

}  // namespace regatta
