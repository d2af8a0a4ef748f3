// Attention as one operation graph in each direction.
#include "models/cuda/attention_graphs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"
#include "models/cuda/element_type.h"

namespace regatta {
namespace {

constexpr std::int64_t kMostFeatures = 256;  // of a head, on Hopper; other cards' engines end at 128
// cuDNN's backward kernel for Hopper walks the keys in steps of 128, but hides what is beyond the last one in
// steps of 64: for numbers of positions that leave 64 it reads zeros there, whose share exp(0 - L) is
// infinite in a row whose scores are all below about -88 (NVIDIA/cudnn-frontend, pull request 628; found
// in 9.20). A causal mask hides them.
constexpr std::int64_t kKeysOfAStep = 128;

Axes transposed(Axes axes) {
  std::swap(axes[2], axes[3]);
  return axes;
}

// Axes are those of cuDNN: rows, heads, and a matrix of each.
class Builder {
 public:
  explicit Builder(const AttentionShape& shape)
      : shape_(shape),
        scores_{shape.rows, shape.heads, shape.positions, shape.positions},
        vectors_{shape.rows, shape.heads, shape.positions, shape.size} {}

  OperationGraph take() { return std::move(graph_); }

  // [positions, size] of each head, in a tensor of `parts` such side by side.
  int heads_of(AttentionTensor id, std::int64_t parts) {
    return add({.id = static_cast<std::int64_t>(id),
                .type = GraphType::bf16,
                .sizes = vectors_,
                .strides = head_strides(parts)});
  }
  int transposed_heads_of(AttentionTensor id, std::int64_t parts) {
    return add({.id = static_cast<std::int64_t>(id),
                .type = GraphType::bf16,
                .sizes = transposed(vectors_),
                .strides = transposed(head_strides(parts))});
  }
  // A number of each position and head.
  int row_values(AttentionTensor id) {
    const Axes sizes = {shape_.rows, shape_.heads, shape_.positions, 1};
    return add({.id = static_cast<std::int64_t>(id), .sizes = sizes, .strides = dense(sizes)});
  }
  int constant(float value) { return add({.id = next_id_++, .value = value}); }

  int matmul(int x, int b) {
    const GraphTensor& left = tensor(x);
    const Axes sizes = {left.sizes[0], left.sizes[1], left.sizes[2], tensor(b).sizes[3]};
    return apply_to({.step = GraphStep::matmul, .x = x, .b = b, .y = between(GraphType::f32, sizes)});
  }
  int matmul_to(int x, int b, int y) { return apply_to({.step = GraphStep::matmul, .x = x, .b = b, .y = y}); }
  int apply(GraphStep step, int x, int b = -1, GraphType type = GraphType::f32) {
    return apply_to({.step = step, .x = x, .b = b, .y = between(type, tensor(x).sizes)});
  }
  int apply_to(const GraphOperation& operation) {
    graph_.operations.push_back(operation);
    return operation.y;
  }
  // Over the last axis.
  int reduce(GraphStep step, int x) {
    Axes sizes = tensor(x).sizes;
    sizes[3] = 1;
    return apply_to({.step = step, .x = x, .y = between(GraphType::f32, sizes)});
  }
  // The same memory read the other way round, in bf16, as products take it.
  int transpose(int x) {
    const GraphTensor& from = tensor(x);
    return apply_to({.step = GraphStep::reshape,
                     .x = x,
                     .y = add({.id = next_id_++,
                               .type = GraphType::bf16,
                               .sizes = transposed(from.sizes),
                               .strides = transposed(from.strides),
                               .is_virtual = true})});
  }
  // -∞ where a position does not see another.
  int masked(int scores) {
    if (!shape_.causal) {
      return scores;
    }
    const int row = apply(GraphStep::row_index, scores, -1, GraphType::i32);
    const int column = apply(GraphStep::column_index, scores, -1, GraphType::i32);
    const int seen = apply(GraphStep::greater_equal, row, column, GraphType::boolean);
    const int hidden = constant(-std::numeric_limits<float>::infinity());
    return apply_to({.step = GraphStep::select,
                     .x = scores,
                     .b = hidden,
                     .t = seen,
                     .y = between(GraphType::f32, scores_)});
  }

 private:
  const GraphTensor& tensor(int number) const { return graph_.tensors[static_cast<std::size_t>(number)]; }
  int add(const GraphTensor& made) {
    graph_.tensors.push_back(made);
    return static_cast<int>(graph_.tensors.size()) - 1;
  }
  int between(GraphType type, const Axes& sizes) {
    return add({.id = next_id_++, .type = type, .sizes = sizes, .strides = dense(sizes), .is_virtual = true});
  }
  static Axes dense(const Axes& sizes) {
    return {sizes[1] * sizes[2] * sizes[3], sizes[2] * sizes[3], sizes[3], 1};
  }
  Axes head_strides(std::int64_t parts) const {
    const std::int64_t position = shape_.lanes * parts * shape_.features();
    return {shape_.positions * position, shape_.size, position, 1};
  }

  AttentionShape shape_;
  Axes scores_;
  Axes vectors_;
  OperationGraph graph_;
  std::int64_t next_id_ = static_cast<std::int64_t>(AttentionTensor::count);
};

float scale_of(const AttentionShape& shape) { return 1 / std::sqrt(static_cast<float>(shape.size)); }

}  // namespace

std::string describe(const AttentionShape& shape) {
  return fmt::format("attention of {} rows with {} heads of {} features over {} positions{}{}", shape.rows,
                     shape.heads, shape.size, shape.positions, shape.causal ? ", causal" : "",
                     shape.lanes > 1 ? fmt::format(", in each of {} lanes", shape.lanes) : "");
}

Status check_fusible(const AttentionShape& shape) {
  if (shape.size % 8 != 0 || shape.size > kMostFeatures) {
    return failure(fmt::format("no kernel for an {}: a head needs a multiple of 8 features, {} at most",
                               describe(shape), kMostFeatures));
  }
  if (shape.positions < 2) {
    return failure(fmt::format("no kernel for an {}: it needs two positions", describe(shape)));
  }
  if (!shape.causal && shape.positions % kKeysOfAStep == kKeysOfAStep / 2) {
    return failure(fmt::format("no kernel for an {}: some versions of cuDNN read beyond the last position",
                               describe(shape)));
  }
  return {};
}

OperationGraph attention_forward_graph(const AttentionShape& shape) {
  Builder graph(shape);
  const int queries = graph.heads_of(AttentionTensor::queries, 3);
  const int keys = graph.transposed_heads_of(AttentionTensor::keys, 3);
  const int values = graph.heads_of(AttentionTensor::values, 3);
  const int mixed = graph.heads_of(AttentionTensor::mixed, 1);
  const int statistics = graph.row_values(AttentionTensor::statistics);
  const int scale = graph.constant(scale_of(shape));

  const int scores = graph.masked(graph.apply(GraphStep::multiply, graph.matmul(queries, keys), scale));
  const int largest = graph.reduce(GraphStep::largest, scores);
  const int powers = graph.apply(GraphStep::exponential, graph.apply(GraphStep::subtract, scores, largest));
  const int sum = graph.reduce(GraphStep::sum, powers);
  graph.apply_to(
      {.step = GraphStep::add, .x = largest, .b = graph.apply(GraphStep::logarithm, sum), .y = statistics});
  const int shares = graph.apply(GraphStep::divide, powers, sum, GraphType::bf16);
  graph.matmul_to(shares, values, mixed);
  return graph.take();
}

OperationGraph attention_backward_graph(const AttentionShape& shape) {
  Builder graph(shape);
  const int queries = graph.heads_of(AttentionTensor::queries, 3);
  const int keys = graph.transposed_heads_of(AttentionTensor::keys, 3);
  const int values = graph.transposed_heads_of(AttentionTensor::values, 3);
  const int mixed = graph.heads_of(AttentionTensor::mixed, 1);
  const int mixed_gradient = graph.heads_of(AttentionTensor::mixed_gradient, 1);
  const int statistics = graph.row_values(AttentionTensor::statistics);
  const int row_sums = graph.row_values(AttentionTensor::row_sums);
  const int query_gradient = graph.heads_of(AttentionTensor::query_gradient, 3);
  const int key_gradient = graph.heads_of(AttentionTensor::key_gradient, 3);
  const int value_gradient = graph.heads_of(AttentionTensor::value_gradient, 3);
  const int scale = graph.constant(scale_of(shape));
  const int one = graph.constant(1);

  const int products = graph.apply(GraphStep::multiply, mixed_gradient, mixed);
  graph.apply_to({.step = GraphStep::multiply,
                  .x = graph.reduce(GraphStep::sum, products),
                  .b = one,  // the pattern that cuDNN knows has the scale of a dropout here
                  .y = row_sums});

  const int scores = graph.apply(GraphStep::multiply, graph.matmul(queries, keys), scale);
  const int shares =
      graph.apply(GraphStep::exponential, graph.masked(graph.apply(GraphStep::subtract, scores, statistics)));
  graph.matmul_to(graph.transpose(shares), mixed_gradient, value_gradient);

  const int share_gradients =
      graph.apply(GraphStep::subtract, graph.matmul(mixed_gradient, values), row_sums);
  const int score_gradients =
      graph.apply(GraphStep::multiply, graph.apply(GraphStep::multiply, share_gradients, shares), scale);
  graph.matmul_to(graph.transpose(score_gradients), queries, key_gradient);
  graph.matmul_to(score_gradients, graph.transpose(keys), query_gradient);
  return graph.take();
}

void* address_of(const AttentionShape& shape, const AttentionMemory& memory, std::int64_t tensor,
                 std::int64_t lane) {
  const auto at = [](const void* begin, std::int64_t elements) -> void* {
    return const_cast<std::byte*>(static_cast<const std::byte*>(begin)) +  // packs know no const
           elements * bytes_of(ElementType::bf16);
  };
  const std::int64_t features = shape.features();
  const auto part = [&](const void* begin, std::int64_t number) {
    return at(begin, (3 * lane + number) * features);
  };
  switch (static_cast<AttentionTensor>(tensor)) {
    case AttentionTensor::queries:
      return part(memory.projected, 0);
    case AttentionTensor::keys:
      return part(memory.projected, 1);
    case AttentionTensor::values:
      return part(memory.projected, 2);
    case AttentionTensor::mixed:
      return at(memory.mixed, lane * features);
    case AttentionTensor::statistics:
      return memory.statistics + lane * shape.statistics_stride();
    case AttentionTensor::mixed_gradient:
      return at(memory.mixed_gradient, lane * features);
    case AttentionTensor::row_sums:
      return memory.row_sums;
    case AttentionTensor::query_gradient:
      return part(memory.projected_gradient, 0);
    case AttentionTensor::key_gradient:
      return part(memory.projected_gradient, 1);
    case AttentionTensor::value_gradient:
      return part(memory.projected_gradient, 2);
    case AttentionTensor::count:
      break;
  }
  check_failed("a tensor that stands in memory", __FILE__, __LINE__);
}

}  // namespace regatta
