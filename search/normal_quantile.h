// The inverse of the standard normal distribution function: what turns ranks into scores.
#pragma once

#include <boost/math/special_functions/erf.hpp>
#include <numbers>

namespace regatta {

// `share` in (0, 1); at its ends an overflow error of Boost.
inline double normal_quantile(double share) {
  return -std::numbers::sqrt2 * boost::math::erfc_inv(2 * share);
}

}  // namespace regatta
