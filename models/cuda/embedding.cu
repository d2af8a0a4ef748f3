// Rows of a table in place of token numbers. Backward adds up the gradients of equal tokens in the order of
// their places.
#include <cuda_runtime.h>

#include "models/cuda/device.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/row_work.h"
#include "models/cuda/token_order.h"
#include "models/cuda/tokens_device.h"

namespace regatta::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kWarps = 8;                // of a block that sums gradients
constexpr std::int32_t kOfOneWarp = 64;  // places; more of one token are shared by the block

// A row of the work is one lane at one place. A number that is no token makes the lane's loss NaN.
template <class Element, int Size>
__global__ void look_up(RowWork work, Tokens tokens, std::int64_t lane_numbers, std::int64_t lanes,
                        const Element* __restrict__ tables, Element* __restrict__ results) {
  const std::int64_t units = std::int64_t{work.pieces} * Size;
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::int64_t place = row / lanes;
    const std::int64_t lane = row - place * lanes;
    const std::int64_t column = std::int64_t{piece} * Size;
    Tokens own = tokens;
    own.numbers += lane * lane_numbers;
    const std::int32_t token = token_at(own, place);
    Floats<Size> values;
    if (token != kNoToken) {
      values = load<Size>(tables + (lane * tokens.vocabulary + token) * units + column);
    } else {
      for (float& value : values.at) {
        value = nanf("");
      }
    }
    store(values, results + row * units + column);
  });
}

// The gradients of some lanes' tables.
struct TableGradients {
  std::int64_t vocabulary = 1;
  std::int64_t units = 1;
  std::int64_t width = 1;  // elements from one place to the next
  const std::int32_t* starts = nullptr;
  const std::int32_t* sorted = nullptr;
};

template <int Size, class Element>
__device__ __forceinline__ Floats<Size> sum_places(const TableGradients& table, const Element* gradients,
                                                   std::int32_t begin, std::int32_t end, std::int32_t step) {
  Floats<Size> sums = {};
#pragma unroll 4
  for (std::int32_t i = begin; i < end; i += step) {
    const Floats<Size> values = load<Size>(gradients + table.sorted[i] * table.width);
#pragma unroll
    for (int k = 0; k < Size; ++k) {
      sums.at[k] += values.at[k];
    }
  }
  return sums;
}

// A block has kWarps tokens and, of blockIdx.z's lane, the columns of a warp. Each warp sums a token's
// places, and all of them one that has many.
template <class Element, int Size>
__global__ void sum_tokens(TableGradients table, const Element* __restrict__ gradients,
                           TokenOrder::Counts counts, float* __restrict__ results) {
  __shared__ float shared[kWarps][kWarp * Size];
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int thread = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t column = (static_cast<std::int64_t>(blockIdx.y) * kWarp + thread) * Size;
  const bool inside = column < table.units;
  if (blockIdx.y == 0 && blockIdx.z == 0) {
    each_element(counts.size, [&](std::int64_t i) { counts.data[i] = 0; });
  }
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kWarps;
  gradients += blockIdx.z * table.units + column;
  results += blockIdx.z * table.vocabulary * table.units + column;
  const auto write = [&](std::int64_t token, const Floats<Size>& sums) {
#pragma unroll
    for (int k = 0; k < Size; ++k) {
      results[token * table.units + k] = sums.at[k];
    }
  };
  if (const std::int64_t token = first + warp; inside && token < table.vocabulary) {
    const std::int32_t begin = table.starts[token];
    const std::int32_t end = table.starts[token + 1];
    if (end - begin <= kOfOneWarp) {
      write(token, sum_places<Size>(table, gradients, begin, end, 1));
    }
  }
  for (std::int64_t token = first; token < first + kWarps && token < table.vocabulary; ++token) {
    const std::int32_t begin = table.starts[token];
    const std::int32_t end = table.starts[token + 1];
    if (end - begin <= kOfOneWarp) {
      continue;
    }
    Floats<Size> sums = {};
    if (inside) {
      sums = sum_places<Size>(table, gradients, begin + warp, end, kWarps);
    }
    __syncthreads();  // the sums of a token before have been read
#pragma unroll
    for (int k = 0; k < Size; ++k) {
      shared[warp][k * kWarp + thread] = sums.at[k];
    }
    __syncthreads();
    if (warp == 0 && inside) {
      for (int other = 1; other < kWarps; ++other) {
#pragma unroll
        for (int k = 0; k < Size; ++k) {
          sums.at[k] += shared[other][k * kWarp + thread];
        }
      }
      write(token, sums);
    }
  }
}

class EmbeddingOperation final : public Operation {
 public:
  EmbeddingOperation(Planner& planner, const std::string& name, const Embedding& embedding, Tensor input)
      : vocabulary_(embedding.vocabulary),
        units_(embedding.units),
        table_(planner.parameters().product_weight(name + ".weight")),
        table_gradient_(planner.parameters().gradient(name + ".weight")),
        input_(std::move(input)),
        positions_(input_.shape.front()),
        output_(planner.allocate({positions_, units_})) {
    CHECK(!input_.needs_gradient && input_.type == ElementType::f32, "token numbers are data");
    planner.use(input_);
    output_.needs_gradient = true;
    // The order of the tokens needs nothing but them: it is made beside all of the step's other work.
    if (planner.has_side_branch() && input_.lanes == 1) {
      order_.emplace(planner, input_.rows * positions_, vocabulary_);
      order_->use_to_the_end(planner);
      planner.use_to_the_end(input_);
      orders_beside_ = true;
    }
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    planner.use(input_);
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    if (!order_) {
      order_.emplace(planner, input_.rows * positions_, vocabulary_);
    }
    return {};
  }

  Status forward(const Step& step) override {
    if (orders_beside_) {
      ASSIGN_OR_RETURN(const Step beside, step.beside());
      order_->enqueue(beside, tokens(step, 0));
    }
    with_packs(output_.type, units_, [&](auto element, auto size) {
      using Element = decltype(element);
      const RowWork work = row_work(output_.points() * output_.lanes, units_ / size());
      launch(look_up<Element, size()>, launch_shape(work), step.stream, work, tokens(step, 0),
             input_.lanes > 1 ? positions_ : 0, output_.lanes, static_cast<const Element*>(table_),
             step.data<Element>(output_));
    });
    return {};
  }

  Status backward(const Step& step) override {
    if (orders_beside_) {
      RETURN_IF_ERROR(step.side->join(step.stream));
      sum(step, 0, output_.lanes);
      return {};
    }
    for (int lane = 0; lane < input_.lanes; ++lane) {
      order_->enqueue(step, tokens(step, lane));
      sum(step, lane, input_.lanes == 1 ? output_.lanes : 1);
    }
    return {};
  }

 private:
  Tokens tokens(const Step& step, int lane) const {
    return {.numbers = step.data<float>(input_) + lane * positions_,
            .count = input_.rows * positions_,
            .positions = positions_,
            .row = input_.lanes * positions_,
            .vocabulary = vocabulary_};
  }

  // Of lanes that have the same tokens.
  void sum(const Step& step, int first_lane, int lanes) const {
    with_packs(output_.type, units_, [&](auto element, auto size) {
      using Element = decltype(element);
      const std::int64_t columns = kWarp * size();
      const LaunchShape shape{
          .grid = dim3(static_cast<unsigned>((vocabulary_ + kWarps - 1) / kWarps),
                       static_cast<unsigned>((units_ + columns - 1) / columns), static_cast<unsigned>(lanes)),
          .block = dim3(kWarp * kWarps)};
      const TableGradients table{.vocabulary = vocabulary_,
                                 .units = units_,
                                 .width = output_.width(),
                                 .starts = order_->starts(step),
                                 .sorted = order_->sorted(step)};
      launch(sum_tokens<Element, size()>, shape, step.stream, table,
             step.data<Element>(output_gradient_) + first_lane * units_, order_->counts(step),
             table_gradient_ + first_lane * vocabulary_ * units_);
    });
  }

  std::int64_t vocabulary_;
  std::int64_t units_;
  const void* table_;
  float* table_gradient_;
  Tensor input_;
  std::int64_t positions_;
  Tensor output_;
  Tensor output_gradient_;
  std::optional<TokenOrder> order_;
  bool orders_beside_ = false;
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string& name, const Embedding& embedding,
                               const Tensor& input) {
  auto operation = std::make_unique<EmbeddingOperation>(planner, name, embedding, input);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda
