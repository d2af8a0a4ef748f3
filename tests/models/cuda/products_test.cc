// Gradients of weights are products over all points, which a library may cut among blocks and add up again.
// Of ones, every sum is the number of the points exactly, in every order and every type, so that a part that
// is lost or counted twice shows. On the emulated device and on a real one, as layers_test.cc.
#include <cuda_bf16.h>
#include <gmock/gmock.h>

#include <cmath>
#include <vector>

#include "cuda/device.h"
#include "models/cuda/libraries.h"
#include "models/cuda/planner.h"
#include "models/cuda/projection.h"
#include "models/cuda/runtime.h"
#include "support.h"

namespace regatta {
namespace {

using cuda::DeviceMemory;
using cuda::ProjectionShape;

struct ShapeCase {
  std::string name;
  std::int64_t batches;
  std::int64_t points;
  std::int64_t inputs;
  std::int64_t outputs;
};

class CudaWeightGradients : public testing::TestWithParam<std::tuple<ShapeCase, std::string>> {
 protected:
  void SetUp() override { REGATTA_NEEDS_CUDA_DEVICE(); }
};

DeviceMemory filled(std::int64_t count, std::int64_t bytes_of_one, const void* one) {
  std::vector<std::byte> bytes;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto* const first = static_cast<const std::byte*>(one);
    bytes.insert(bytes.end(), first, first + bytes_of_one);
  }
  DeviceMemory memory = DeviceMemory::allocate(bytes.size(), "a test").value();
  EXPECT_EQ(cudaMemcpy(memory.data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);  // a copy may return while it is still on its way
  return memory;
}

DeviceMemory ones(std::int64_t count, ElementType type) {
  const float wide = 1;
  const __nv_bfloat16 narrow = __float2bfloat16(1);
  return type == ElementType::f32 ? filled(count, sizeof(wide), &wide)
                                  : filled(count, sizeof(narrow), &narrow);
}

DeviceMemory no_numbers(std::int64_t count) {
  const float value = std::nanf("");
  return filled(count, sizeof(value), &value);
}

std::vector<float> read(const DeviceMemory& memory) {
  std::vector<float> values(memory.size() / sizeof(float));
  EXPECT_EQ(cudaMemcpy(values.data(), memory.data(), memory.size(), cudaMemcpyDeviceToHost), cudaSuccess);
  return values;
}

MathMode math_of(const std::string& name) {
  return name == "fp32" ? MathMode::fp32 : name == "tf32" ? MathMode::tf32 : MathMode::bf16;
}

TEST_P(CudaWeightGradients, OfOnesAreTheNumberOfPoints) {
  const auto& [sizes, precision] = GetParam();
  const ProjectionShape shape{.batches = sizes.batches,
                              .points = sizes.points,
                              .inputs = sizes.inputs,
                              .outputs = sizes.outputs,
                              .x_row = sizes.batches * sizes.inputs,
                              .y_row = sizes.batches * sizes.outputs};
  const MathMode math = math_of(precision);
  const Network network = model_of({"Unused", "[dense: 3]", {2}}).network;
  const auto parameters =
      cuda::Parameters::allocate(network, static_cast<int>(shape.batches), ElementType::f32).value();
  const auto libraries = cuda::open_libraries().value();
  const auto stream = cuda::Stream::create().value();
  cuda::Planner planner(*libraries, cuda::Phase::train, shape.points, parameters, math,
                        /*has_side_branch=*/false);
  const DeviceMemory x = ones(shape.points * shape.x_row, element_type(math));
  const DeviceMemory dy = ones(shape.points * shape.y_row, element_type(math));
  const DeviceMemory dw = no_numbers(shape.batches * shape.outputs * shape.inputs);
  const DeviceMemory db = no_numbers(shape.batches * shape.outputs);

  cuda::WeightGradient gradient;
  ASSERT_TRUE(gradient.plan(planner, shape, dw.as<float>(), db.as<float>()).ok());
  const DeviceMemory arena = DeviceMemory::allocate(planner.arrange(), "a test").value();
  const auto counter_bytes = static_cast<std::size_t>(planner.counters()) * sizeof(unsigned);
  const DeviceMemory counters = DeviceMemory::allocate(counter_bytes, "a test").value();
  const Status enqueued = gradient.run({.stream = stream.get(),
                                        .memory = &planner.memory(),
                                        .arena = arena.data(),
                                        .counters = counters.as<unsigned>()},
                                       x.data(), dy.data());
  ASSERT_TRUE(enqueued.ok()) << enqueued.error().message;
  ASSERT_EQ(cudaStreamSynchronize(stream.get()), cudaSuccess);
  const auto points = static_cast<float>(shape.points);
  EXPECT_THAT(read(dw), testing::Each(points));
  EXPECT_THAT(read(db), testing::Each(points));
}

const std::vector<ShapeCase>& shape_cases() {
  static const std::vector<ShapeCase> cases = {
      {"OneTile", 1, 65536, 16, 8}, {"Odd", 1, 40009, 33, 10},          {"Lanes", 3, 20000, 24, 8},
      {"Column", 1, 200000, 1, 4},  {"SeveralTiles", 1, 4100, 130, 72},
  };
  return cases;
}

INSTANTIATE_TEST_SUITE_P(, CudaWeightGradients,
                         testing::Combine(testing::ValuesIn(shape_cases()),
                                          testing::Values("fp32", "tf32", "bf16")),
                         [](const auto& test) {
                           return std::get<0>(test.param).name + "In" + std::get<1>(test.param);
                         });

}  // namespace
}  // namespace regatta
