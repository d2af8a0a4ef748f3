// One vectorised loop for each rule; what can be decided outside a loop is.
#include "models/optimizer.h"

#include <algorithm>
#include <cmath>

#include "base/multiversion.h"

namespace regatta {
namespace {

constexpr std::size_t kLongestSegment = 16384;

// Each rule also sums 0 · w over the new weights: 0, or NaN if one of them is not finite.

// g ← s g + λ w;  w ← w - η g
REGATTA_MULTIVERSION
float plain_sgd(std::size_t size, const LaneUpdate& update, float decay, float* __restrict weights,
                const float* __restrict gradients) {
  const float scale = update.gradient_scale;
  const float lr = update.lr;
  float check = 0;
#pragma omp simd reduction(+ : check)
  for (std::size_t i = 0; i < size; ++i) {
    const float gradient = scale * gradients[i] + decay * weights[i];
    weights[i] -= lr * gradient;
    check += 0 * weights[i];
  }
  return check;
}

// g ← s g + λ w;  b ← μ b + g;  w ← w - η (nesterov ? g + μ b : b)
// With b = 0 before the first step this is PyTorch's rule, which starts with b = g.
REGATTA_MULTIVERSION
float momentum_sgd(std::size_t size, const LaneUpdate& update, float decay, float* __restrict weights,
                   const float* __restrict gradients, float* __restrict momenta) {
  const float scale = update.gradient_scale;
  const float lr = update.lr;
  const float momentum = update.momentum;
  // nesterov ? g + μ b : b, without a branch in the loop
  const float of_gradient = update.nesterov ? 1.0F : 0.0F;
  const float of_momentum = update.nesterov ? momentum : 1.0F;
  float check = 0;
#pragma omp simd reduction(+ : check)
  for (std::size_t i = 0; i < size; ++i) {
    const float gradient = scale * gradients[i] + decay * weights[i];
    momenta[i] = momentum * momenta[i] + gradient;
    weights[i] -= lr * (of_gradient * gradient + of_momentum * momenta[i]);
    check += 0 * weights[i];
  }
  return check;
}

// g ← s g + λ w;  w ← (1 - η λ') w;  m ← β₁ m + (1-β₁) g;  v ← β₂ v + (1-β₂) g²;
// w ← w - (η / c₁) m / (√v / c₂ + ε).  Adam has λ' = 0, AdamW λ = 0.
REGATTA_MULTIVERSION
float adam(std::size_t size, const LaneUpdate& update, float coupled_decay, float decoupled_decay,
           float* __restrict weights, const float* __restrict gradients, float* __restrict first,
           float* __restrict second) {
  const float scale = update.gradient_scale;
  const float kept = 1 - update.lr * decoupled_decay;
  const float rate = update.lr / update.correction1;
  const float correction2 = update.correction2;
  const float epsilon = update.epsilon;
  const float beta1 = update.beta1;
  const float beta2 = update.beta2;
  float check = 0;
#pragma omp simd reduction(+ : check)
  for (std::size_t i = 0; i < size; ++i) {
    const float gradient = scale * gradients[i] + coupled_decay * weights[i];
    first[i] = beta1 * first[i] + (1 - beta1) * gradient;
    second[i] = beta2 * second[i] + (1 - beta2) * gradient * gradient;
    weights[i] = kept * weights[i] - rate * (first[i] / (std::sqrt(second[i]) / correction2 + epsilon));
    check += 0 * weights[i];
  }
  return check;
}

}  // namespace

std::vector<OptimizerSegment> optimizer_segments(const Network& network, int lanes) {
  std::vector<OptimizerSegment> segments;
  for (const ParameterSpec& parameter : network.parameters) {
    const auto size = static_cast<std::size_t>(parameter.size);
    for (int lane = 0; lane < lanes; ++lane) {
      const std::size_t begin = static_cast<std::size_t>(parameter.offset) * static_cast<std::size_t>(lanes) +
                                static_cast<std::size_t>(lane) * size;
      for (std::size_t done = 0; done < size; done += kLongestSegment) {
        segments.push_back({.offset = begin + done,
                            .size = std::min(kLongestSegment, size - done),
                            .decays = parameter.decays,
                            .lane = lane});
      }
    }
  }
  return segments;
}

LaneUpdate plan_update(const OptimizerConfig& config, double schedule_factor, std::int64_t step) {
  LaneUpdate update{.kind = config.kind,
                    .lr = static_cast<float>(config.lr * schedule_factor),
                    .momentum = static_cast<float>(config.momentum),
                    .nesterov = config.nesterov,
                    .beta1 = static_cast<float>(config.beta1),
                    .beta2 = static_cast<float>(config.beta2),
                    .epsilon = static_cast<float>(config.epsilon),
                    .weight_decay = static_cast<float>(config.weight_decay)};
  const auto steps = static_cast<double>(step);
  update.correction1 = static_cast<float>(1 - std::pow(config.beta1, steps));
  update.correction2 = static_cast<float>(std::sqrt(1 - std::pow(config.beta2, steps)));
  return update;
}

bool update_segment(const OptimizerSegment& segment, const LaneUpdate& update,
                    const OptimizerMemory& memory) {
  float* const weights = memory.weights + segment.offset;
  const float* const gradients = memory.gradients + segment.offset;
  float* const first = memory.first_moment + segment.offset;
  float* const second = memory.second_moment + segment.offset;
  const float decay = segment.decays ? update.weight_decay : 0;
  const auto check = [&] {
    switch (update.kind) {
      case OptimizerConfig::Kind::sgd:
        return update.momentum == 0 ? plain_sgd(segment.size, update, decay, weights, gradients)
                                    : momentum_sgd(segment.size, update, decay, weights, gradients, first);
      case OptimizerConfig::Kind::adam:
        return adam(segment.size, update, decay, 0, weights, gradients, first, second);
      case OptimizerConfig::Kind::adamw:
        return adam(segment.size, update, 0, decay, weights, gradients, first, second);
    }
    check_failed("a known kind of optimizer", __FILE__, __LINE__);
  };
  return check() == 0;
}

double clip_factor(double squared_norm, double limit) {
  constexpr double kTiny = 1e-6;  // PyTorch's guard against division by zero
  return std::min(1.0, limit / (std::sqrt(squared_norm) + kTiny));
}

REGATTA_MULTIVERSION
double squared_norm(const float* values, std::size_t size) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < size; ++i) {
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return sum;
}

}  // namespace regatta
