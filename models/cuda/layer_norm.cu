// Normalisation of each point's channels, lane by lane. Ba, Kiros and Hinton 2016.
//
//   μ = Σx / C,  σ² = Σ(x - μ)² / C,  x̂ = (x - μ) / √(σ² + ε),  y = γ x̂ + β
//   dβ = Σdy,  dγ = Σ dy x̂,  dx = (γ dy - Σ(γ dy)/C - x̂ Σ(γ dy x̂)/C) / √(σ² + ε)
//
// A row is one lane's channels at one point, so row r belongs to lane r mod L. Each row is read from memory
// once: the later passes over it find it in the cache. Between residual blocks it also makes the sum that it
// normalises, and adds the two gradients where the block before begins.
#include "models/cuda/columns.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/row_team.h"

namespace regatta::cuda {
namespace {

struct RowStatistics {
  float mean;
  float inverse;  // 1 / √(σ² + ε)
};

struct Rows {
  std::int64_t count = 0;
  std::int64_t lanes = 1;
  std::int64_t channels = 1;
};

// γ and β, which are floats whatever the elements are.
template <int Size>
__device__ __forceinline__ Floats<Size> load_parameters(const float* from) {
  if constexpr (Size <= 4) {
    return load<Size>(from);
  } else {
    Floats<Size> values;
#pragma unroll
    for (int i = 0; i < Size; i += 4) {
      const Floats<4> part = load<4>(from + i);
      memcpy(values.at + i, part.at, sizeof part);
    }
    return values;
  }
}

// The two whose sum is to be normalised, and kept; null: the values are there already.
template <class Element>
struct Summands {
  const Element* left = nullptr;
  const Element* right = nullptr;
};

template <class Element, int Size, int Warps>
__global__ void normalise(Rows rows, Summands<Element> summands, Element* values,
                          const float* __restrict__ weights, const float* __restrict__ biases, float epsilon,
                          RowStatistics* __restrict__ statistics, Element* __restrict__ results) {
  const RowTeam<Warps> team;
  const std::int64_t row = team.row();
  if (row >= rows.count) {
    return;
  }
  const std::int64_t channels = rows.channels;
  Element* const x = values + row * channels;
  const float* const weight = weights + row % rows.lanes * channels;
  const float* const bias = biases + row % rows.lanes * channels;
  float sum = 0;
  team.template each<Size>(channels, [&](std::int64_t c) {
    if (summands.left != nullptr) {
      Floats<Size> total = load<Size>(summands.left + row * channels + c);
      const Floats<Size> right = load<Size>(summands.right + row * channels + c);
      for (int i = 0; i < Size; ++i) {
        total.at[i] += right.at[i];
      }
      store(total, x + c);
    }
    const Floats<Size> v = load<Size>(x + c);  // as it is stored, and by this thread alone
    for (int i = 0; i < Size; ++i) {
      sum += v.at[i];
    }
  });
  const float mean = team.sum(sum) / static_cast<float>(channels);
  float squares = 0;
  team.template each<Size>(channels, [&](std::int64_t c) {
    const Floats<Size> v = load<Size>(x + c);
    for (int i = 0; i < Size; ++i) {
      squares += (v.at[i] - mean) * (v.at[i] - mean);
    }
  });
  const float inverse = 1 / sqrtf(team.sum(squares) / static_cast<float>(channels) + epsilon);
  if (team.thread() == 0) {
    statistics[row] = {mean, inverse};
  }
  team.template each<Size>(channels, [&](std::int64_t c) {
    Floats<Size> v = load<Size>(x + c);
    const Floats<Size> w = load_parameters<Size>(weight + c);
    const Floats<Size> b = load_parameters<Size>(bias + c);
    for (int i = 0; i < Size; ++i) {
      v.at[i] = (v.at[i] - mean) * inverse * w.at[i] + b.at[i];
    }
    store(v, results + row * channels + c);
  });
}

template <class Element, int Size, int Warps>
__global__ void normalise_gradients(Rows rows, const Element* __restrict__ values,
                                    const Element* __restrict__ gradients, const float* __restrict__ weights,
                                    const RowStatistics* __restrict__ statistics,
                                    const Element* __restrict__ others, Element* __restrict__ results) {
  const RowTeam<Warps> team;
  const std::int64_t row = team.row();
  if (row >= rows.count) {
    return;
  }
  const std::int64_t channels = rows.channels;
  const Element* const x = values + row * channels;
  const Element* const dy = gradients + row * channels;
  const float* const weight = weights + row % rows.lanes * channels;
  const auto [mean, inverse] = statistics[row];
  float sum = 0;
  float products = 0;
  team.template each<Size>(channels, [&](std::int64_t c) {
    const Floats<Size> v = load<Size>(x + c);
    const Floats<Size> g = load<Size>(dy + c);
    const Floats<Size> w = load_parameters<Size>(weight + c);
    for (int i = 0; i < Size; ++i) {
      sum += w.at[i] * g.at[i];
      products += w.at[i] * g.at[i] * (v.at[i] - mean) * inverse;
    }
  });
  const float offset = team.sum(sum) / static_cast<float>(channels);
  const float slope = team.sum(products) / static_cast<float>(channels);
  team.template each<Size>(channels, [&](std::int64_t c) {
    Floats<Size> v = load<Size>(x + c);
    const Floats<Size> g = load<Size>(dy + c);
    const Floats<Size> w = load_parameters<Size>(weight + c);
    for (int i = 0; i < Size; ++i) {
      v.at[i] = (w.at[i] * g.at[i] - offset - (v.at[i] - mean) * inverse * slope) * inverse;
    }
    if (others != nullptr) {
      const Floats<Size> other = load<Size>(others + row * channels + c);
      for (int i = 0; i < Size; ++i) {
        v.at[i] += other.at[i];
      }
    }
    store(v, results + row * channels + c);
  });
}

// dγ and dβ: of chunks of the points, which the last block of some columns adds up.
template <class Element, int Size>
__global__ void sum_parameter_gradients(ColumnWork work, Rows rows, const Element* __restrict__ values,
                                        const Element* __restrict__ gradients,
                                        const RowStatistics* __restrict__ statistics, float* partial,
                                        unsigned* counters, float* __restrict__ weight_gradients,
                                        float* __restrict__ bias_gradients) {
  const ThreadColumns<Size> columns(work, work.points);
  Floats<Size> sums[2] = {};
  if (columns.inside) {
    const std::int64_t lane = columns.column / rows.channels;
    for (std::int64_t point = columns.first; point < columns.end; point += blockDim.y) {
      const auto [mean, inverse] = statistics[point * rows.lanes + lane];
      const Floats<Size> v = load<Size>(values + point * work.width + columns.column);
      const Floats<Size> g = load<Size>(gradients + point * work.width + columns.column);
#pragma unroll
      for (int i = 0; i < Size; ++i) {
        sums[0].at[i] += g.at[i] * (v.at[i] - mean) * inverse;
        sums[1].at[i] += g.at[i];
      }
    }
  }
  if (!sum_over_chunks(work, columns.column, columns.inside, partial, counters, sums)) {
    return;
  }
  if (threadIdx.y == 0 && columns.inside) {
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      weight_gradients[columns.column + i] = sums[0].at[i];
      bias_gradients[columns.column + i] = sums[1].at[i];
    }
  }
}

class LayerNormOperation final : public Operation {
 public:
  LayerNormOperation(Planner& planner, const std::string& name, const LayerNorm& norm, Tensor input)
      : epsilon_(static_cast<float>(norm.epsilon)),
        weight_(planner.parameters().weight(name + ".weight")),
        bias_(planner.parameters().weight(name + ".bias")),
        weight_gradient_(planner.parameters().gradient(name + ".weight")),
        bias_gradient_(planner.parameters().gradient(name + ".bias")),
        input_(std::move(input)),
        rows_{.count = input_.points() * input_.lanes, .lanes = input_.lanes, .channels = input_.channels()},
        output_(planner.allocate_like(input_, input_.type)),
        statistics_(planner.allocate_values(2 * rows_.count, ElementType::f32)) {
    CHECK(input_.lanes == planner.lanes());
    if (input_.late_sum && !input_.late_sum->is_read) {
      input_.late_sum->is_taken = true;
      sums_ = true;
      planner.use(input_.late_sum->left);
      planner.use(input_.late_sum->right);
    }
    planner.use(input_);
    output_.needs_gradient = true;
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    planner.use(input_);
    planner.use(statistics_);
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    with_packs(input_.type, rows_.channels, [&](auto, auto size) {
      columns_ = column_work(input_.points(), input_.width(), size(), kBlocks);
    });
    partial_ = planner.allocate_values(columns_.chunks() * 2 * input_.width(), ElementType::f32);
    counters_ = planner.allocate_counters(launch_shape(columns_).grid.x);
    is_beside_ = planner.has_side_branch() && leaves_card_idle(input_.size()) && input_.needs_gradient;
    if (is_beside_) {
      for (const Tensor* tensor : {&input_, &output_gradient_, &statistics_, &partial_}) {
        planner.use_to_the_end(*tensor);
      }
    }
    if (input_.needs_gradient) {
      input_gradient_ = planner.allocate_like(input_, input_.type);
      shortcut_gradient_ = planner.shortcut_gradient(input_);
      if (shortcut_gradient_) {
        planner.use(*shortcut_gradient_);
        input_gradient_.has_shortcut_gradient = true;
      }
      planner.set_gradient(input_, input_gradient_);
    }
    return {};
  }

  Status forward(const Step& step) override {
    for_rows([&](auto element, auto size, auto warps, const LaunchShape& shape) {
      using Element = decltype(element);
      Summands<Element> summands;
      if (sums_) {
        summands = {step.data<Element>(input_.late_sum->left), step.data<Element>(input_.late_sum->right)};
      }
      launch(normalise<Element, size(), warps()>, shape, step.stream, rows_, summands,
             step.data<Element>(input_), weight_, bias_, epsilon_, step.data<RowStatistics>(statistics_),
             step.data<Element>(output_));
    });
    return {};
  }

  Status backward(const Step& step) override {
    if (is_beside_) {
      ASSIGN_OR_RETURN(const Step beside, step.beside());
      sum_gradients(beside);
    } else {
      sum_gradients(step);
    }
    if (!input_.needs_gradient) {
      return {};
    }
    for_rows([&](auto element, auto size, auto warps, const LaunchShape& shape) {
      using Element = decltype(element);
      launch(normalise_gradients<Element, size(), warps()>, shape, step.stream, rows_,
             step.data<Element>(input_), step.data<Element>(output_gradient_), weight_,
             step.data<RowStatistics>(statistics_),
             shortcut_gradient_ ? step.data<const Element>(*shortcut_gradient_) : nullptr,
             step.data<Element>(input_gradient_));
    });
    return {};
  }

 private:
  static constexpr std::int64_t kBlocks = 512;

  template <class Function>
  void for_rows(const Function& function) const {
    with_packs(input_.type, rows_.channels, [&](auto element, auto size) {
      with_row_teams(rows_.count, rows_.channels / size(),
                     [&](auto warps, const LaunchShape& shape) { function(element, size, warps, shape); });
    });
  }

  void sum_gradients(const Step& step) const {
    with_packs(input_.type, rows_.channels, [&](auto element, auto size) {
      using Element = decltype(element);
      launch(sum_parameter_gradients<Element, size()>, launch_shape(columns_), step.stream, columns_, rows_,
             step.data<Element>(input_), step.data<Element>(output_gradient_),
             step.data<RowStatistics>(statistics_), step.data<float>(partial_), step.counters + counters_,
             weight_gradient_, bias_gradient_);
    });
  }

  float epsilon_;
  const float* weight_;
  const float* bias_;
  float* weight_gradient_;
  float* bias_gradient_;
  Tensor input_;
  bool sums_ = false;  // makes the sum that its input is
  Rows rows_;
  Tensor output_;
  Tensor statistics_;
  Tensor output_gradient_;
  std::optional<Tensor> shortcut_gradient_;  // what it adds to its input's
  Tensor input_gradient_;
  ColumnWork columns_;
  Tensor partial_;  // [chunks][2][width]
  std::int64_t counters_ = 0;
  bool is_beside_ = false;
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string& name, const LayerNorm& norm,
                               const Tensor& input) {
  auto operation = std::make_unique<LayerNormOperation>(planner, name, norm, input);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda
