// The graphs of attention, computed step by step as they are described, against attention written plainly in
// double precision. With floats in the place of bf16 there is nothing but rounding between the two, so that a
// sign, a mask, a scale or a stride that is wrong shows. And without a GPU.
#include "models/cuda/attention_graphs.h"

#include <gtest/gtest.h>

#include <map>

#include "emulated_cuda/graph_interpreter.h"
#include "emulated_cuda/plain_attention.h"
#include "emulated_cuda/test_values.h"

namespace regatta {
namespace {

// A lane's tensors stand where they would in bf16, but as floats.
struct Arrays {
  explicit Arrays(const AttentionShape& shape)
      : projected(values(3 * elements_of_mixed(shape), 1)),
        mixed(nans<float>(elements_of_mixed(shape))),
        statistics(nans<float>(shape.lanes * shape.statistics_stride())),
        mixed_gradient(values(elements_of_mixed(shape), 2)),
        row_sums(nans<float>(shape.row_values())),
        projected_gradient(nans<float>(3 * elements_of_mixed(shape))) {}

  std::vector<float> projected, mixed, statistics, mixed_gradient, row_sums, projected_gradient;
};

OperationGraph in_floats(OperationGraph graph) {
  for (GraphTensor& tensor : graph.tensors) {
    tensor.type = tensor.type == GraphType::bf16 ? GraphType::f32 : tensor.type;
  }
  return graph;
}

void run(const AttentionShape& shape, const OperationGraph& graph, Arrays& arrays) {
  // Twice as many bytes an element as address_of reckons with; of f32 tensors it is right.
  const auto as_float = [](std::vector<float>& array, const void* address) -> void* {
    return array.data() +
           (static_cast<const std::byte*>(address) - reinterpret_cast<const std::byte*>(array.data())) / 2;
  };
  const AttentionMemory memory = {.projected = arrays.projected.data(),
                                  .mixed = arrays.mixed.data(),
                                  .statistics = arrays.statistics.data(),
                                  .mixed_gradient = arrays.mixed_gradient.data(),
                                  .row_sums = arrays.row_sums.data(),
                                  .projected_gradient = arrays.projected_gradient.data()};
  for (std::int64_t lane = 0; lane < shape.lanes; ++lane) {
    GraphInterpreter(graph, [&](const GraphTensor& tensor) -> void* {
      void* const address = address_of(shape, memory, tensor.id, lane);
      switch (static_cast<AttentionTensor>(tensor.id)) {
        case AttentionTensor::queries:
        case AttentionTensor::keys:
        case AttentionTensor::values:
          return as_float(arrays.projected, address);
        case AttentionTensor::mixed:
          return as_float(arrays.mixed, address);
        case AttentionTensor::mixed_gradient:
          return as_float(arrays.mixed_gradient, address);
        case AttentionTensor::query_gradient:
        case AttentionTensor::key_gradient:
        case AttentionTensor::value_gradient:
          return as_float(arrays.projected_gradient, address);
        default:
          return address;
      }
    }).run();
  }
}

// What stands between lanes belongs to none.
std::vector<float> without_gaps(const AttentionShape& shape, const std::vector<float>& statistics) {
  std::vector<float> kept;
  for (std::int64_t lane = 0; lane < shape.lanes; ++lane) {
    const auto begin = statistics.begin() + lane * shape.statistics_stride();
    kept.insert(kept.end(), begin, begin + shape.row_values());
  }
  return kept;
}

class AttentionGraphs : public testing::TestWithParam<AttentionShape> {};

TEST_P(AttentionGraphs, AreAttentionAndItsGradientsToTheRoundingOfFloats) {
  const AttentionShape& shape = GetParam();
  Arrays arrays(shape);
  for (float& value : arrays.projected) {
    value *= 3;  // so that shares differ much
  }
  run(shape, in_floats(attention_forward_graph(shape)), arrays);
  run(shape, in_floats(attention_backward_graph(shape)), arrays);
  const PlainAttention expected = plain_attention(shape, arrays.projected, arrays.mixed_gradient);
  EXPECT_LE(difference(arrays.mixed, expected.mixed), 2e-6);
  EXPECT_LE(difference(without_gaps(shape, arrays.statistics), without_gaps(shape, expected.statistics)),
            2e-6);
  EXPECT_LE(difference(arrays.projected_gradient, expected.projected_gradient), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionGraphs,
    testing::Values(AttentionShape{.rows = 1, .positions = 1, .size = 8},
                    AttentionShape{.rows = 2, .positions = 5, .heads = 2, .size = 8},
                    AttentionShape{.rows = 2, .positions = 5, .heads = 2, .size = 8, .causal = true},
                    AttentionShape{.rows = 2, .positions = 7, .lanes = 3, .heads = 3, .size = 16},
                    AttentionShape{
                        .rows = 3, .positions = 33, .lanes = 2, .heads = 2, .size = 24, .causal = true},
                    AttentionShape{.rows = 1, .positions = 130, .heads = 1, .size = 64, .causal = true}),
    [](const auto& test) { return name_of(test.param); });

// As cuDNN asks of a graph.
TEST(AttentionGraphs, NameEveryTensorOnceAndReadOnlyWhatIsThere) {
  const AttentionShape shape{.rows = 2, .positions = 4, .heads = 2, .size = 8, .causal = true};
  for (const OperationGraph& graph : {attention_forward_graph(shape), attention_backward_graph(shape)}) {
    std::map<std::int64_t, int> ids;
    for (const GraphTensor& tensor : graph.tensors) {
      EXPECT_EQ(++ids[tensor.id], 1) << tensor.id;
    }
    std::vector<bool> made(graph.tensors.size());
    for (const GraphOperation& operation : graph.operations) {
      for (const int number : {operation.x, operation.b, operation.t}) {
        const bool is_virtual = number >= 0 && graph.tensors.at(static_cast<std::size_t>(number)).is_virtual;
        EXPECT_TRUE(!is_virtual || made.at(static_cast<std::size_t>(number))) << number;
      }
      EXPECT_FALSE(made.at(static_cast<std::size_t>(operation.y))) << "written twice";
      made.at(static_cast<std::size_t>(operation.y)) = true;
    }
  }
}

}  // namespace
}  // namespace regatta
