// Fitting shift and scale on the training split.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace regatta {

// Mean 0 and standard deviation 1 over `samples`: per channel of images, per feature of tables, per target
// of regression. What is constant gets scale 1. Features marked in `one_hot` stay as they are.
Normalization fit_normalization(const Dataset& dataset, std::span<const std::int64_t> samples,
                                const std::vector<bool>& one_hot = {});

// Bytes become [0, 1]; everything else stays as it is.
Normalization without_normalization(const Dataset& dataset);

}  // namespace regatta
