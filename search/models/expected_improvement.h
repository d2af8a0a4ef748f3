// How much a value is expected to fall below the best one, in logarithms, so that it can be compared and
// followed uphill where it is far below the smallest number. Ament, Daulton, Eriksson, Balandat, Bakshy,
// "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS 2023.
#pragma once

namespace regatta {

// log h(z), h(z) = φ(z) + z Φ(z), and its derivative, for every finite z.
struct LogImprovement {
  double value = 0;
  double slope = 0;
};
LogImprovement log_standard_improvement(double z);

// log E[max(best − Y, 0)] of Y normal with this mean and variance, and its derivatives.
struct LogExpectedImprovement {
  double value = 0;
  double by_mean = 0;
  double by_variance = 0;
};
LogExpectedImprovement log_expected_improvement(double mean, double variance, double best);

}  // namespace regatta
