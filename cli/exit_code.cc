// One place maps kinds of errors to exit codes.
#include "cli/exit_code.h"

#include <cstdio>

namespace regatta {

int report_error(const Error& error) {
  const std::string line = error.message + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);  // nothing can be done when standard error is gone
  switch (error.kind) {
    case Error::Kind::user_mistake:
      return kExitUsersMistake;
    case Error::Kind::interrupted:
      return kExitInterrupted;
    case Error::Kind::failure:
    case Error::Kind::timeout:
      return kExitStudyFailed;
  }
  return kExitStudyFailed;
}

}  // namespace regatta
