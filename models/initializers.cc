// Draws from a counter-based generator, one stream a parameter.
#include "models/initializers.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace regatta {
namespace {

// Half the width of the uniform distribution around zero.
double uniform_bound(const ParameterSpec& parameter) {
  const auto fan_in = static_cast<double>(parameter.fan_in);
  const auto fan_out = static_cast<double>(parameter.fan_out);
  switch (parameter.initializer) {
    case Initializer::he_uniform:
      return std::sqrt(6 / fan_in);
    case Initializer::uniform_fan_in:
      return std::sqrt(1 / fan_in);
    default:
      return std::sqrt(6 / (fan_in + fan_out));
  }
}

}  // namespace

void initialize(const ParameterSpec& parameter, std::uint64_t seed, std::span<float> values) {
  CHECK(static_cast<std::int64_t>(values.size()) == parameter.size);
  if (parameter.initializer == Initializer::zeros || parameter.initializer == Initializer::ones) {
    std::fill(values.begin(), values.end(), parameter.initializer == Initializer::ones ? 1.0F : 0.0F);
    return;
  }
  const Random random(seed, "initial weights of " + parameter.name);
  if (parameter.initializer == Initializer::small_normal) {
    constexpr double kDeviation = 0.02;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(kDeviation * random.normal(i));
    }
    return;
  }
  const double bound = uniform_bound(parameter);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((2 * random.uniform(i) - 1) * bound);
  }
}

}  // namespace regatta
