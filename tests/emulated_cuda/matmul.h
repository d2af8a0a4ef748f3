// What a test sets of the emulated device's matrix products.
#pragma once

#include <set>
#include <vector>

#include "models/cuda/matmul.h"

namespace regatta {

// Endings that no product of any shape has a kernel for from now on, as of a library that lacks them.
void refuse_endings(std::set<cuda::MatmulShape::Ending> endings);

// The products that were asked for since the last call, refused ones too.
std::vector<cuda::MatmulShape> take_asked_products();

}  // namespace regatta
