// A sequence to one of its positions, or to their mean.
#include <algorithm>

#include "base/multiversion.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

REGATTA_MULTIVERSION
void mean_of_positions(const float* __restrict values, std::int64_t positions, std::int64_t features,
                       float* __restrict mean) {
  const float share = 1 / static_cast<float>(positions);
  std::fill_n(mean, features, 0.0F);
  for (std::int64_t t = 0; t < positions; ++t) {
#pragma omp simd
    for (std::int64_t f = 0; f < features; ++f) {
      mean[f] += values[t * features + f];
    }
  }
  for (std::int64_t f = 0; f < features; ++f) {
    mean[f] *= share;
  }
}

REGATTA_MULTIVERSION
void spread_mean(const float* __restrict gradients, std::int64_t positions, std::int64_t features,
                 float* __restrict results) {
  const float share = 1 / static_cast<float>(positions);
  for (std::int64_t t = 0; t < positions; ++t) {
#pragma omp simd
    for (std::int64_t f = 0; f < features; ++f) {
      results[t * features + f] = share * gradients[f];
    }
  }
}

class TimePoolOperation final : public Operation {
 public:
  TimePoolOperation(Planner& planner, const TimePool& pool, Tensor input)
      : last_(pool.kind == TimePool::Kind::last),
        rows_(planner.rows()),
        positions_(input.shape.front()),
        features_(input.shape.back()),
        input_(std::move(input)),
        output_(planner.allocate({features_}, plain_layout(rows_, {features_}))) {
    CHECK(input_.layout == plain_layout(rows_, input_.shape));
    planner.use(input_);
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient_like(output_, reorders_);
    input_gradient_ = planner.allocate(input_.shape, input_.layout);
    planner.set_gradient(input_, input_gradient_);
  }

  Status forward(const Step& step) override {
    for_rows(step, [&](int lane, std::int64_t row) {
      const float* const values = input_.data(lane) + row * positions_ * features_;
      float* const result = output_.data(lane) + row * features_;
      if (last_) {
        std::copy_n(values + (positions_ - 1) * features_, features_, result);
      } else {
        mean_of_positions(values, positions_, features_, result);
      }
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    for_rows(step, [&](int lane, std::int64_t row) {
      const float* const gradients = output_gradient_.data(lane) + row * features_;
      float* const results = input_gradient_.data(lane) + row * positions_ * features_;
      if (last_) {
        std::fill_n(results, (positions_ - 1) * features_, 0.0F);
        std::copy_n(gradients, features_, results + (positions_ - 1) * features_);
      } else {
        spread_mean(gradients, positions_, features_, results);
      }
    });
    return {};
  }

 private:
  template <class Function>
  void for_rows(const Step& step, const Function& function) const {
    step.for_active_lanes(
        [&](int lane) { parallel_for(rows_, step.threads, [&](std::int64_t row) { function(lane, row); }); });
  }

  bool last_;
  std::int64_t rows_;
  std::int64_t positions_;
  std::int64_t features_;
  Tensor input_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  CallSequence reorders_;
};

}  // namespace

Planned plan_operation(Planner& planner, const std::string&, const TimePool& pool, const Tensor& input) {
  auto operation = std::make_unique<TimePoolOperation>(planner, pool, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
