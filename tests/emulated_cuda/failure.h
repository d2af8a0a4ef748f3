// Faults of memory that device work or the host must not touch, told in a sentence.
#pragma once

namespace regatta {

// For the thread that calls; again costs nothing. A fault elsewhere goes the usual way.
void watch_faults();

}  // namespace regatta
