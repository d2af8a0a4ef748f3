// Which regatta this is.
#pragma once

#include <string>

namespace regatta {

std::string program_version();  // "0.1.0 (the commit)"

}  // namespace regatta
