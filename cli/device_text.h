// Cards and crews in words.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/resources.h"
#include "coordinator/events.h"
#include "devices/devices.h"

namespace regatta {

// "79.6 GiB".
std::string format_memory(std::uint64_t bytes);

// ", card: 12.3 GiB in use, 97 % busy"; empty where nothing is known.
std::string describe(const CardLoad& load);

// A table of crews and ranks: cards and threads of each. Settled resources.
std::string describe_crews(const Resources& resources, const FoundDevices& found);

}  // namespace regatta
