// What a test sets of the emulated device's matrix products.
#pragma once

#include <set>

#include "models/cuda/matmul.h"

namespace regatta {

// Endings that no product of any shape has a kernel for from now on, as of a library that lacks them.
void refuse_endings(std::set<cuda::MatmulShape::Ending> endings);

}  // namespace regatta
