// Fused attention against plain loops, on the device there is: a GPU, or the emulated one, which computes the
// graphs as they are described. Outputs and workspaces full of NaN beforehand.
#include "models/cuda/fused_attention.h"

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "emulated_cuda/device_arrays.h"
#include "emulated_cuda/plain_attention.h"
#include "emulated_cuda/test_values.h"

namespace regatta {
namespace {

// Of the shares, of O and of the gradients, each rounded to bf16 once; relative to the largest value.
constexpr double kRounding = 1e-2;

struct Results {
  std::vector<Bfloat16> mixed;
  std::vector<float> statistics;
  std::vector<Bfloat16> projected_gradient;
};

class FusedAttentionOnTheDevice : public testing::TestWithParam<AttentionShape> {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      GTEST_SKIP() << "no CUDA device";
    }
    auto made = make_dnn_context(std::int64_t{1} << 30);
    ASSERT_TRUE(made.ok()) << made.error().message;
    context_ = std::move(*made);
    auto planned = plan_fused_attention(*context_, GetParam(), true);
    if (!planned.ok() && GetParam().size > 128) {
      GTEST_SKIP() << planned.error().message;  // Hopper's alone
    }
    ASSERT_TRUE(planned.ok()) << planned.error().message;
    attention_ = std::move(*planned);
  }

  Results run(const std::vector<Bfloat16>& projected, const std::vector<Bfloat16>& mixed_gradient) {
    const AttentionShape& shape = GetParam();
    const auto workspace_of = [](std::int64_t bytes) { return nans<float>(bytes / 4 + 1); };
    const DeviceArray<float> forward_workspace(workspace_of(attention_->plan().forward_workspace_bytes));
    const DeviceArray<float> backward_workspace(workspace_of(attention_->plan().backward_workspace_bytes));
    const DeviceArray<Bfloat16> device_projected(projected);
    const DeviceArray<Bfloat16> device_mixed_gradient(mixed_gradient);
    const DeviceArray<Bfloat16> mixed(nans<Bfloat16>(elements_of_mixed(shape)));
    const DeviceArray<float> statistics(
        std::vector<float>(static_cast<std::size_t>(shape.lanes * shape.statistics_stride())));
    const DeviceArray<float> row_sums(nans<float>(shape.row_values()));
    const DeviceArray<Bfloat16> projected_gradient(nans<Bfloat16>(3 * elements_of_mixed(shape)));
    AttentionMemory memory = {
        .projected = device_projected.get(), .mixed = mixed.get(), .statistics = statistics.get()};
    const DeviceStream stream;
    const Status forward = attention_->forward(stream, memory, forward_workspace.get());
    EXPECT_TRUE(forward.ok()) << forward.error().message;
    memory.mixed_gradient = device_mixed_gradient.get();
    memory.row_sums = row_sums.get();
    memory.projected_gradient = projected_gradient.get();
    const Status backward = attention_->backward(stream, memory, backward_workspace.get());
    EXPECT_TRUE(backward.ok()) << backward.error().message;
    stream.finish();
    return {mixed.read(), statistics.read(), projected_gradient.read()};
  }

  // Forward and backward of these Q, K and V equal plain loops, and repeat their bits.
  void check(const std::vector<float>& wide, double gradient_rounding = 2 * kRounding) {
    const AttentionShape& shape = GetParam();
    const auto projected = as_elements<Bfloat16>(wide);
    const auto mixed_gradient = as_elements<Bfloat16>(values(elements_of_mixed(shape), 2));
    const Results computed = run(projected, mixed_gradient);
    const PlainAttention expected = plain_attention(shape, projected, mixed_gradient);
    EXPECT_LE(difference(computed.mixed, expected.mixed), kRounding) << attention_->plan().forward;
    EXPECT_LE(difference(computed.statistics, expected.statistics), 1e-4) << attention_->plan().forward;
    // Each apart: the gradients of one must not hide behind larger ones of another.
    for (std::size_t part = 0; part < 3; ++part) {
      std::vector<Bfloat16> found;
      std::vector<float> wanted;
      const auto features = static_cast<std::size_t>(shape.features());
      for (std::size_t at = 0; at < projected.size(); ++at) {
        if (at / features % 3 == part) {
          found.push_back(computed.projected_gradient[at]);
          wanted.push_back(expected.projected_gradient[at]);
        }
      }
      EXPECT_LE(difference(found, wanted), gradient_rounding) << part << ", " << attention_->plan().backward;
    }
    const Results again = run(projected, mixed_gradient);
    EXPECT_EQ(std::memcmp(again.projected_gradient.data(), computed.projected_gradient.data(),
                          computed.projected_gradient.size() * sizeof(Bfloat16)),
              0);
  }

  std::unique_ptr<DnnContext> context_;
  std::unique_ptr<FusedAttention> attention_;
};

TEST_P(FusedAttentionOnTheDevice, EqualsPlainLoopsForwardAndBackwardAndRepeatsItsBits) {
  std::vector<float> wide = values(3 * elements_of_mixed(GetParam()), 1);
  for (float& value : wide) {
    value *= 3;  // so that shares differ much
  }
  check(wide);
}

// Zeros that a kernel read beyond the last position would have shares without bounds.
TEST_P(FusedAttentionOnTheDevice, TakesQueriesThatAllKeysAreOpposedTo) {
  const AttentionShape& shape = GetParam();
  std::vector<float> wide = values(3 * elements_of_mixed(shape), 1);
  const auto features = static_cast<std::size_t>(shape.features());
  const float far = 12 / std::pow(static_cast<float>(shape.size), 0.25F);  // scores of -144
  for (std::size_t at = 0; at < wide.size(); ++at) {
    const std::size_t part = at / features % 3;
    wide[at] = part == 0 ? far + 0.1F * wide[at] : part == 1 ? 0.1F * wide[at] - far : wide[at];
  }
  check(wide, 0.4);  // sums over keys that are nearly equal, of numbers that add up to 0
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, FusedAttentionOnTheDevice,
    testing::Values(AttentionShape{.rows = 3, .positions = 2, .heads = 2, .size = 16},
                    AttentionShape{.rows = 2, .positions = 33, .heads = 3, .size = 8, .causal = true},
                    AttentionShape{.rows = 2, .positions = 33, .lanes = 2, .heads = 2, .size = 40},
                    AttentionShape{
                        .rows = 2, .positions = 100, .lanes = 2, .heads = 2, .size = 64, .causal = true},
                    AttentionShape{.rows = 1, .positions = 100, .heads = 1, .size = 256, .causal = true},
                    AttentionShape{.rows = 1, .positions = 128, .heads = 2, .size = 128},
                    AttentionShape{.rows = 1, .positions = 192, .heads = 2, .size = 64, .causal = true},
                    AttentionShape{.rows = 1, .positions = 1024, .heads = 1, .size = 64, .causal = true}),
    [](const auto& test) { return name_of(test.param); });

}  // namespace
}  // namespace regatta
