// Durations as numbers, for arithmetic and for people.
#pragma once

#include "base/clock.h"

namespace regatta {

inline double in_seconds(Microseconds time) { return std::chrono::duration<double>(time).count(); }

}  // namespace regatta
