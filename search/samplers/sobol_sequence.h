// Scrambled Sobol points: uniform one by one, and evenly spread together. Sobol 1967; direction numbers by
// Joe and Kuo, SIAM J. Sci. Comput. 30 (2008). Nested uniform scrambling: Owen, "Randomly permuted
// (t,m,s)-nets and (t,s)-sequences", 1995; by hashing: Laine and Karras, "Stratified sampling for stochastic
// transparency", EGSR 2011; Burley, "Practical hash-based Owen scrambling", JCGT 9(4), 2020.
#pragma once

#include <boost/random/sobol.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/random.h"

namespace regatta {

// The nested uniform scramble of a 32-bit fraction: each bit is flipped or not by a hash of `seed` and the
// bits above it, so that every interval of length 2^-k is mapped onto one of the same length.
std::uint32_t owen_scramble(std::uint32_t fraction, std::uint32_t seed);

class SobolSequence {
 public:
  static constexpr std::size_t kMaxDimensions = 3667;  // of Boost's table

  SobolSequence(std::size_t dimensions, const Random& random);  // dimensions <= kMaxDimensions

  // The coordinates in [0, 1) of point `index`, from 0: a function of (random, index). In every dimension the
  // first 2^k points fall into the 2^k equal intervals once each, for k <= 32.
  std::vector<double> point(std::uint64_t index);

 private:
  std::optional<boost::random::sobol>
      engine_;                        // none in a space without parameters; its position is no state
  std::vector<std::uint32_t> seeds_;  // a dimension
  Random low_bits_;
};

}  // namespace regatta
