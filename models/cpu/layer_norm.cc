// Normalisation of each row over its features. Ba, Kiros and Hinton 2016.
//
//   μ = Σx / F,  σ² = Σ(x - μ)² / F,  x̂ = (x - μ) / √(σ² + ε),  y = γ x̂ + β
//   dβ = Σdy,  dγ = Σ dy x̂,  dx = (γ dy - Σ(γ dy)/F - x̂ Σ(γ dy x̂)/F) / √(σ² + ε)
#include <algorithm>
#include <cmath>

#include "base/multiversion.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"
#include "models/cpu/products.h"

namespace regatta {
namespace {

// The rows are summed in so many parts, each by one thread, however many threads there are.
constexpr std::int64_t kParts = 16;

struct RowStatistics {
  float mean;
  float inverse;  // 1 / √(σ² + ε)
};

[[gnu::always_inline]] inline void write_normalised(const float* x, std::int64_t features,
                                                    RowStatistics statistics, const float* weight,
                                                    const float* bias, float* y) {
  const auto [mean, inverse] = statistics;
#pragma omp simd
  for (std::int64_t f = 0; f < features; ++f) {
    y[f] = (x[f] - mean) * inverse * weight[f] + bias[f];
  }
}

REGATTA_MULTIVERSION
void normalise_rows_again(const float* values, std::int64_t rows, std::int64_t features, const float* weight,
                          const float* bias, const RowStatistics* statistics, float* results) {
  for (std::int64_t row = 0; row < rows; ++row) {
    write_normalised(values + row * features, features, statistics[row], weight, bias,
                     results + row * features);
  }
}

REGATTA_MULTIVERSION
void normalise_rows(const float* values, std::int64_t rows, std::int64_t features, float epsilon,
                    const float* weight, const float* bias, RowStatistics* statistics, float* results) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* const x = values + row * features;
    float* const y = results + row * features;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t f = 0; f < features; ++f) {
      sum += x[f];
    }
    const float mean = sum / static_cast<float>(features);
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t f = 0; f < features; ++f) {
      squares += (x[f] - mean) * (x[f] - mean);
    }
    const float inverse = 1 / std::sqrt(squares / static_cast<float>(features) + epsilon);
    statistics[row] = {mean, inverse};
    write_normalised(x, features, statistics[row], weight, bias, y);
  }
}

// Adds to `sums`: [2, features], those of dγ and of dβ. `results` may be `gradients`.
REGATTA_MULTIVERSION
void normalise_gradients(const float* values, const float* gradients, std::int64_t rows,
                         std::int64_t features, const float* weight, const RowStatistics* statistics,
                         float* sums, float* results) {
  const float share = 1 / static_cast<float>(features);
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* const x = values + row * features;
    const float* const dy = gradients + row * features;
    float* const dx = results + row * features;
    const auto [mean, inverse] = statistics[row];
    float sum = 0;
    float products = 0;
#pragma omp simd reduction(+ : sum, products)
    for (std::int64_t f = 0; f < features; ++f) {
      const float normal = (x[f] - mean) * inverse;
      sums[f] += dy[f] * normal;
      sums[features + f] += dy[f];
      sum += weight[f] * dy[f];
      products += weight[f] * dy[f] * normal;
    }
    const float offset = sum * share;
    const float slope = products * share;
#pragma omp simd
    for (std::int64_t f = 0; f < features; ++f) {
      dx[f] = (weight[f] * dy[f] - offset - (x[f] - mean) * inverse * slope) * inverse;
    }
  }
}

class LayerNormOperation final : public Operation {
 public:
  LayerNormOperation(Planner& planner, const std::string& name, const LayerNorm& norm, Tensor input)
      : name_(name),
        epsilon_(static_cast<float>(norm.epsilon)),
        input_(std::move(input)),
        features_(input_.shape.back()),
        rows_(input_.floats() / features_),
        output_(planner.allocate(input_.shape, input_.layout)),
        statistics_(planner.allocate_bytes(static_cast<std::size_t>(rows_) * sizeof(RowStatistics))) {
    CHECK(input_.layout == plain_layout(planner.rows(), input_.shape));
    planner.use(input_);
    output_.needs_gradient = true;
    output_.recomputation = [this](Planner& p, CallSequence& calls, int lane, const dnnl::memory& into) {
      p.use(input_);
      p.use(statistics_);
      calls.add(lane, [this, lane, into](const Step& step) { normalise_again(step, lane, into); });
    };
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const ParameterMemory& memory = planner.parameters();
      lanes_.push_back({.weight = memory.weight(name_ + ".weight", lane),
                        .bias = memory.weight(name_ + ".bias", lane),
                        .weight_gradient = memory.gradient(name_ + ".weight", lane),
                        .bias_gradient = memory.gradient(name_ + ".bias", lane)});
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    planner.use(input_);
    planner.use(statistics_);
    output_gradient_ = planner.gradient_like(output_, reorders_);
    sums_ = planner.temporary(matrix(1 + kParts, 2 * features_));  // the total first
    input_gradient_ =
        output_gradient_.may_overwrite ? output_gradient_ : planner.allocate(input_.shape, input_.layout);
    if (input_.needs_gradient) {
      planner.set_gradient(input_, input_gradient_);
    }
  }

  Status forward(const Step& step) override {
    for_parts(step, [&](int lane, std::int64_t, std::int64_t begin, std::int64_t rows) {
      const Lane& l = lanes_[static_cast<std::size_t>(lane)];
      normalise_rows(input_.data(lane) + begin * features_, rows, features_, epsilon_, l.weight, l.bias,
                     statistics(lane) + begin, output_.data(lane) + begin * features_);
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    auto* const sums = static_cast<float*>(sums_.get_data_handle());
    step.for_active_lanes([&](int lane) {
      const Lane& l = lanes_[static_cast<std::size_t>(lane)];
      for_parts_of(step, lane, [&](int, std::int64_t part, std::int64_t begin, std::int64_t rows) {
        float* const own = sums + (1 + part) * 2 * features_;
        std::fill_n(own, 2 * features_, 0.0F);
        normalise_gradients(input_.data(lane) + begin * features_,
                            output_gradient_.data(lane) + begin * features_, rows, features_, l.weight,
                            statistics(lane) + begin, own, input_gradient_.data(lane) + begin * features_);
      });
      column_sums(sums + 2 * features_, kParts, 2 * features_, sums);
      std::copy_n(sums, features_, l.weight_gradient);
      std::copy_n(sums + features_, features_, l.bias_gradient);
    });
    return {};
  }

 private:
  // The same bits as forward's.
  void normalise_again(const Step& step, int lane, const dnnl::memory& into) const {
    const Lane& l = lanes_[static_cast<std::size_t>(lane)];
    auto* const results = static_cast<float*>(into.get_data_handle());
    for_parts_of(step, lane, [&](int, std::int64_t, std::int64_t begin, std::int64_t rows) {
      normalise_rows_again(input_.data(lane) + begin * features_, rows, features_, l.weight, l.bias,
                           statistics(lane) + begin, results + begin * features_);
    });
  }

  struct Lane {
    const float* weight = nullptr;
    const float* bias = nullptr;
    float* weight_gradient = nullptr;
    float* bias_gradient = nullptr;
  };

  RowStatistics* statistics(int lane) const {
    return reinterpret_cast<RowStatistics*>(statistics_.data(lane));
  }

  template <class Function>
  void for_parts_of(const Step& step, int lane, const Function& function) const {
    parallel_for(kParts, step.threads, [&](std::int64_t part) {
      const std::int64_t begin = rows_ * part / kParts;
      function(lane, part, begin, rows_ * (part + 1) / kParts - begin);
    });
  }

  template <class Function>
  void for_parts(const Step& step, const Function& function) const {
    step.for_active_lanes([&](int lane) { for_parts_of(step, lane, function); });
  }

  std::string name_;
  float epsilon_;
  Tensor input_;
  std::int64_t features_;
  std::int64_t rows_;  // positions of sequences count one by one
  Tensor output_;
  Tensor statistics_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  dnnl::memory sums_;
  CallSequence reorders_;
  std::vector<Lane> lanes_;
};

}  // namespace

Planned plan_operation(Planner& planner, const std::string& name, const LayerNorm& norm,
                       const Tensor& input) {
  auto operation = std::make_unique<LayerNormOperation>(planner, name, norm, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
