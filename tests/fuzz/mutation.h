// Blind changes to inputs, each a function of a random family: what a fuzzer does where no compiler helps it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/random.h"

namespace regatta::fuzz {

// Longer results are cut off; longer seeds are not taken.
inline constexpr std::size_t kMaxMutatedBytes = 4096;

// One of `seeds` after a few changes: bits, bytes, numbers, pieces left out, repeated, or taken from others.
std::string mutated(const std::vector<std::string>& seeds, const Random& random);

}  // namespace regatta::fuzz
