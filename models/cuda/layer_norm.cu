// Normalisation of each point's channels, lane by lane. Ba, Kiros and Hinton 2016.
//
//   μ = Σx / C,  σ² = Σ(x - μ)² / C,  x̂ = (x - μ) / √(σ² + ε),  y = γ x̂ + β
//   dβ = Σdy,  dγ = Σ dy x̂,  dx = (γ dy - Σ(γ dy)/C - x̂ Σ(γ dy x̂)/C) / √(σ² + ε)
//
// A row is one lane's channels at one point, so row r belongs to lane r mod L. Each row is read from memory
// once: the later passes over it find it in the cache.
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

template <class Element, int Size, int Warps>
__global__ void normalise(Rows rows, const Element* __restrict__ values, const float* __restrict__ weights,
                          const float* __restrict__ biases, float epsilon,
                          RowStatistics* __restrict__ statistics, Element* __restrict__ results) {
  const RowTeam<Warps> team;
  const std::int64_t row = team.row();
  if (row >= rows.count) {
    return;
  }
  const std::int64_t channels = rows.channels;
  const Element* const x = values + row * channels;
  const float* const weight = weights + row % rows.lanes * channels;
  const float* const bias = biases + row % rows.lanes * channels;
  float sum = 0;
  team.template each<Size>(channels, [&](std::int64_t c) {
    const Floats<Size> v = load<Size>(x + c);
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
                                    Element* __restrict__ results) {
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
    store(v, results + row * channels + c);
  });
}

// dγ and dβ of chunks of the points.
template <class Element, int Size>
__global__ void sum_points(ColumnWork work, Rows rows, const Element* __restrict__ values,
                           const Element* __restrict__ gradients,
                           const RowStatistics* __restrict__ statistics, float* __restrict__ partial) {
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
  sum_over_block(sums);
  if (threadIdx.y == 0 && columns.inside) {
    float* const own = partial + 2 * blockIdx.y * work.width + columns.column;
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      own[i] = sums[0].at[i];
      own[work.width + i] = sums[1].at[i];
    }
  }
}

__global__ void add_chunks(const float* __restrict__ partial, std::int64_t chunks, std::int64_t width,
                           float* __restrict__ weight_gradients, float* __restrict__ bias_gradients) {
  double sums[2];
  sum_chunks(partial, chunks, width, sums);
  if (threadIdx.y == 0 && chunk_column() < width) {
    weight_gradients[chunk_column()] = static_cast<float>(sums[0]);
    bias_gradients[chunk_column()] = static_cast<float>(sums[1]);
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
    if (input_.needs_gradient) {
      input_gradient_ = planner.allocate_like(input_, input_.type);
      planner.set_gradient(input_, input_gradient_);
    }
    return {};
  }

  Status forward(const Step& step) override {
    for_rows([&](auto element, auto size, auto warps, const LaunchShape& shape) {
      using Element = decltype(element);
      launch(normalise<Element, size(), warps()>, shape, step.stream, rows_, step.data<Element>(input_),
             weight_, bias_, epsilon_, step.data<RowStatistics>(statistics_), step.data<Element>(output_));
    });
    return {};
  }

  Status backward(const Step& step) override {
    sum_parameter_gradients(step);
    if (!input_.needs_gradient) {
      return {};
    }
    for_rows([&](auto element, auto size, auto warps, const LaunchShape& shape) {
      using Element = decltype(element);
      launch(normalise_gradients<Element, size(), warps()>, shape, step.stream, rows_,
             step.data<Element>(input_), step.data<Element>(output_gradient_), weight_,
             step.data<RowStatistics>(statistics_), step.data<Element>(input_gradient_));
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

  void sum_parameter_gradients(const Step& step) const {
    auto* const partial = step.data<float>(partial_);
    with_packs(input_.type, rows_.channels, [&](auto element, auto size) {
      using Element = decltype(element);
      launch(sum_points<Element, size()>, launch_shape(columns_), step.stream, columns_, rows_,
             step.data<Element>(input_), step.data<Element>(output_gradient_),
             step.data<RowStatistics>(statistics_), partial);
    });
    launch(add_chunks, chunk_shape(columns_.width), step.stream, partial, columns_.chunks(), columns_.width,
           weight_gradient_, bias_gradient_);
  }

  float epsilon_;
  const float* weight_;
  const float* bias_;
  float* weight_gradient_;
  float* bias_gradient_;
  Tensor input_;
  Rows rows_;
  Tensor output_;
  Tensor statistics_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  ColumnWork columns_;
  Tensor partial_;  // [chunks][2][width]
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string& name, const LayerNorm& norm,
                               const Tensor& input) {
  auto operation = std::make_unique<LayerNormOperation>(planner, name, norm, input);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda
