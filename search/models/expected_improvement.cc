// Below zero h(z) = φ(z) (1 − |z| m(|z|)) with Mills' ratio m = Φ(−|z|)/φ(z), whose difference cancels only
// slowly; far below, it is the asymptotic series.
#include "search/models/expected_improvement.h"

#include <cmath>
#include <numbers>

namespace regatta {
namespace {

constexpr double kLogRootTwoPi = 0.91893853320467274178;
constexpr double kDirect = -1;       // above this the definition is exact
constexpr double kAsymptotic = -25;  // below this the series has an error below 1e-10

}  // namespace

LogImprovement log_standard_improvement(double z) {
  if (z > kDirect) {
    const double density = std::exp(-z * z / 2 - kLogRootTwoPi);
    const double below = std::erfc(-z * std::numbers::sqrt2 / 2) / 2;
    const double improvement = density + z * below;
    return {std::log(improvement), below / improvement};
  }
  const double log_density = -z * z / 2 - kLogRootTwoPi;
  const double inverse = 1 / (z * z);
  double mills = 0;
  double rest = 0;  // 1 − |z| m
  if (z > kAsymptotic) {
    mills = std::erfc(-z * std::numbers::sqrt2 / 2) / 2 / std::exp(log_density);
    rest = 1 + z * mills;
  } else {
    rest = inverse * (1 - inverse * (3 - inverse * (15 - inverse * 105)));
    mills = (1 - rest) / -z;
  }
  return {log_density + std::log(rest), mills / rest};
}

LogExpectedImprovement log_expected_improvement(double mean, double variance, double best) {
  const double deviation = std::sqrt(variance);
  const double z = (best - mean) / deviation;
  const LogImprovement standard = log_standard_improvement(z);
  return {.value = std::log(deviation) + standard.value,
          .by_mean = -standard.slope / deviation,
          .by_variance = (1 - standard.slope * z) / (2 * variance)};
}

}  // namespace regatta
