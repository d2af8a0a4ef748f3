// Apart, because it is compiled anew at each commit.
#include "cli/program_version.h"

#include "cli/version.h"

namespace regatta {

std::string program_version() { return kVersion; }

}  // namespace regatta
