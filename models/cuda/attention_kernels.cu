// Softmax of scores by rows, and heads in an order in which all of them are one batch of dense matrices.
#include <cmath>

#include "models/cuda/attention_kernels.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/row_team.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

enum class Direction { split, join };

// A row of the work is one lane at one point.
template <class Element, int Size, Direction direction>
__global__ void move_heads(RowWork work, HeadsShape shape, const Element* __restrict__ values,
                           Element* __restrict__ results) {
  const auto packs = static_cast<std::uint32_t>(shape.size / Size);
  const auto heads = static_cast<std::uint32_t>(shape.heads);
  each_piece(work, [&](std::int64_t place, std::uint32_t piece) {
    const std::int64_t point = place / shape.lanes;
    const std::int64_t lane = place - point * shape.lanes;
    const std::int64_t row = point / shape.positions;
    const std::int64_t position = point - row * shape.positions;
    const std::uint32_t head_of_part = piece / packs;
    const std::int64_t element = std::int64_t{piece - head_of_part * packs} * Size;
    const std::int64_t part = head_of_part / heads;
    const std::int64_t head = head_of_part % heads;
    const std::int64_t together = (place * work.pieces + piece) * Size;
    const std::int64_t matrix = (row * shape.lanes + lane) * shape.heads + head;
    const std::int64_t apart =
        part * shape.part_stride + (matrix * shape.positions + position) * shape.size + element;
    if constexpr (direction == Direction::split) {
      store(load<Size>(values + together), results + apart);
    } else {
      store(load<Size>(values + apart), results + together);
    }
  });
}

template <Direction direction>
void launch_move(cudaStream_t stream, const HeadsShape& shape, const void* values, void* results) {
  with_packs(shape.type, shape.size, [&](auto element, auto size) {
    using Element = decltype(element);
    const RowWork work =
        row_work(shape.rows * shape.positions * shape.lanes, shape.parts * shape.heads * shape.size / size());
    launch(move_heads<Element, size(), direction>, launch_shape(work), stream, work, shape,
           static_cast<const Element*>(values), static_cast<Element*>(results));
  });
}

__device__ __forceinline__ std::int64_t positions_seen(const ScoresShape& shape, std::int64_t row) {
  return shape.causal ? row % shape.positions + 1 : shape.positions;
}

template <class Element, int Size, int Warps>
__global__ void softmax_rows(ScoresShape shape, const float* __restrict__ scores,
                             Element* __restrict__ shares) {
  const RowTeam<Warps> team;
  const std::int64_t row = team.row();
  if (row >= shape.rows) {
    return;
  }
  const std::int64_t seen = positions_seen(shape, row);
  const float* const own = scores + row * shape.positions;
  float largest = -INFINITY;
  team.template each<Size>(seen, [&](std::int64_t at) {
    const Floats<Size> values = load<Size>(own + at);
    for (int i = 0; i < Size; ++i) {
      largest = at + i < seen && values.at[i] > largest ? values.at[i] : largest;
    }
  });
  largest = team.largest(largest);
  float sum = 0;
  team.template each<Size>(seen, [&](std::int64_t at) {
    const Floats<Size> values = load<Size>(own + at);
    for (int i = 0; i < Size; ++i) {
      sum += at + i < seen ? expf(values.at[i] - largest) : 0.0F;
    }
  });
  const float inverse = 1 / team.sum(sum);
  team.template each<Size>(shape.positions, [&](std::int64_t at) {
    Floats<Size> values = {};
    if (at < seen) {
      values = load<Size>(own + at);
      for (int i = 0; i < Size; ++i) {
        values.at[i] = at + i < seen ? expf(values.at[i] - largest) * inverse : 0.0F;
      }
    }
    store(values, shares + row * shape.positions + at);
  });
}

template <class Element, int Size, int Warps>
__global__ void softmax_row_gradients(ScoresShape shape, const Element* __restrict__ shares,
                                      const float* __restrict__ share_gradients,
                                      Element* __restrict__ results) {
  const RowTeam<Warps> team;
  const std::int64_t row = team.row();
  if (row >= shape.rows) {
    return;
  }
  const std::int64_t first = row * shape.positions;
  const std::int64_t seen = positions_seen(shape, row);
  float products = 0;
  team.template each<Size>(seen, [&](std::int64_t at) {  // what it does not see has P = 0
    const Floats<Size> p = load<Size>(shares + first + at);
    const Floats<Size> d = load<Size>(share_gradients + first + at);
    for (int i = 0; i < Size; ++i) {
      products += p.at[i] * d.at[i];
    }
  });
  products = team.sum(products);
  team.template each<Size>(shape.positions, [&](std::int64_t at) {
    Floats<Size> values = {};
    if (at < seen) {
      const Floats<Size> p = load<Size>(shares + first + at);
      const Floats<Size> d = load<Size>(share_gradients + first + at);
      for (int i = 0; i < Size; ++i) {
        values.at[i] = p.at[i] * (d.at[i] - products);
      }
    }
    store(values, results + first + at);
  });
}

// Four at once, since that many floats are 16 bytes.
template <class Function>
void for_score_rows(const ScoresShape& shape, const Function& function) {
  const auto with_size = [&](auto size) {
    with_row_teams(shape.rows, shape.positions / size(), [&](auto warps, const LaunchShape& launch_shape) {
      with_element(shape.type, [&](auto element) { function(element, size, warps, launch_shape); });
    });
  };
  if (shape.positions % 4 == 0) {
    with_size(std::integral_constant<int, 4>());
  } else {
    with_size(std::integral_constant<int, 1>());
  }
}

}  // namespace

void split_heads(cudaStream_t stream, const HeadsShape& shape, const void* together, void* apart) {
  launch_move<Direction::split>(stream, shape, together, apart);
}

void join_heads(cudaStream_t stream, const HeadsShape& shape, const void* apart, void* together) {
  launch_move<Direction::join>(stream, shape, apart, together);
}

void softmax(cudaStream_t stream, const ScoresShape& shape, const float* scores, void* shares) {
  for_score_rows(shape, [&](auto element, auto size, auto warps, const LaunchShape& teams) {
    using Element = decltype(element);
    launch(softmax_rows<Element, size(), warps()>, teams, stream, shape, scores,
           static_cast<Element*>(shares));
  });
}

void softmax_gradients(cudaStream_t stream, const ScoresShape& shape, const void* shares,
                       const float* share_gradients, void* score_gradients) {
  for_score_rows(shape, [&](auto element, auto size, auto warps, const LaunchShape& teams) {
    using Element = decltype(element);
    launch(softmax_row_gradients<Element, size(), warps()>, teams, stream, shape,
           static_cast<const Element*>(shares), share_gradients, static_cast<Element*>(score_gradients));
  });
}

}  // namespace regatta::cuda
