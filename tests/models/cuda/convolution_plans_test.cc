// Which engines cuDNN has for the convolutions of the benchmarks' networks on an H200, asked of the library
// itself against a description of the device: no GPU is needed, and nothing is run.
//
// REGATTA_AUDIT=all also asks for bf16 what is left out here for its time, and prints what was chosen.
#include <cudnn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>
#include <tuple>
#include <vector>

#include "h200.h"
#include "models/cuda/convolution.h"

namespace regatta {
namespace {

constexpr std::int64_t kWorkspaceLimit = std::int64_t{8} << 30;

// One lane of a convolution.
struct Case {
  const char* name;
  ConvolutionShape shape;
  bool shared_input = false;  // by all lanes
  bool in_bf16 = false;       // also asked in bf16 unless everything is: compiling engines takes seconds
};

constexpr std::int64_t kDigits = 256;  // rows
constexpr std::int64_t kResnet = 512;

ConvolutionShape images(std::int64_t rows, std::int64_t channels, std::int64_t size, std::int64_t filters,
                        std::int64_t kernel, std::int64_t stride, std::int64_t groups = 1) {
  return {.rows = rows,
          .channels = channels,
          .height = size,
          .width = size,
          .filters = filters,
          .kernel = kernel,
          .stride = stride,
          .padding = kernel / 2,
          .groups = groups};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"digits, first", images(kDigits, 1, 28, 32, 3, 1), true, true},
      {"digits, second", images(kDigits, 32, 28, 64, 3, 1), false, true},
      {"resnet, first", images(kResnet, 3, 32, 64, 3, 1), true, true},
      {"resnet, block 1", images(kResnet, 64, 32, 64, 3, 1), false, true},
      {"resnet, into block 2", images(kResnet, 64, 32, 128, 3, 2)},
      {"resnet, block 2", images(kResnet, 128, 16, 128, 3, 1)},
      {"resnet, shortcut 2", images(kResnet, 64, 32, 128, 1, 2), false, true},
      {"resnet, into block 3", images(kResnet, 128, 16, 256, 3, 2)},
      {"resnet, block 3", images(kResnet, 256, 8, 256, 3, 1)},
      {"resnet, shortcut 3", images(kResnet, 128, 16, 256, 1, 2)},
      {"resnet, into block 4", images(kResnet, 256, 8, 512, 3, 2)},
      {"resnet, block 4", images(kResnet, 512, 4, 512, 3, 1)},
      {"resnet, shortcut 4", images(kResnet, 256, 8, 512, 1, 2)},
      {"depthwise", images(128, 32, 28, 32, 3, 1, 32), false, true},
      {"depthwise, 2 filters", images(128, 32, 28, 64, 3, 2, 32)},
      {"4 groups", images(128, 64, 16, 64, 3, 1, 4), false, true},
      {"odd channels", images(128, 6, 14, 12, 5, 1)},
  };
  return all;
}

ConvolutionShape of_lanes(const Case& one, std::int64_t lanes, MathMode math) {
  ConvolutionShape shape = one.shape;
  shape.filters *= lanes;
  if (!one.shared_input) {
    shape.channels *= lanes;
    shape.groups *= lanes;
  }
  shape.math = math;
  shape.type = element_type(math);
  return shape;
}

bool everything() {
  const char* const wanted = std::getenv("REGATTA_AUDIT");
  return wanted != nullptr && std::string_view(wanted) == "all";
}

// What cuDNN 9.19 has no engine for.
bool expects_fusion(const ConvolutionShape& shape) {
  const bool depthwise = shape.channels == shape.groups;
  const std::int64_t outputs = shape.rows * shape.filters * shape.output_height() * shape.output_width();
  const bool first_layer = shape.groups == 1 && shape.channels < 8;
  return shape.math != MathMode::bf16 ||
         ((!depthwise || shape.groups == 1) && !(first_layer && outputs >= std::int64_t{1} << 31));
}

ElementType expected_weight_gradient(const ConvolutionShape& shape) {
  const bool sums_leave_as_f32 = shape.groups == 1 && shape.channels % 2 == 0;
  return shape.math == MathMode::bf16 && !sums_leave_as_f32 ? ElementType::bf16 : ElementType::f32;
}

// Same number of channels in and out, a multiple of 32 a group, window 3×3 in single steps.
bool expects_tensor_cores(const ConvolutionShape& shape) {
  return shape.math != MathMode::fp32 && shape.kernel == 3 && shape.stride == 1 &&
         shape.channels == shape.filters && shape.channels / shape.groups % 32 == 0;
}

void check_engine(const ConvolutionShape& shape, const std::string& engine) {
  const auto says = [&engine](std::string_view note) { return engine.find(note) != std::string::npos; };
  EXPECT_TRUE(says("engine ")) << "none was planned";
  EXPECT_FALSE(says("not deterministic")) << engine;
  EXPECT_FALSE(says("sums rounded down")) << engine;
  if (shape.math == MathMode::fp32) {
    EXPECT_FALSE(says("tensor cores")) << engine;
    EXPECT_FALSE(says("inputs rounded down")) << engine;
  }
  if (expects_tensor_cores(shape)) {
    EXPECT_TRUE(says("tensor cores")) << engine;
  }
}

void check_case(DnnContext& context, const ConvolutionShape& shape) {
  SCOPED_TRACE(describe(shape));
  auto plain = plan_convolution(context, shape, {});
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  const ConvolutionPlan& plan = (*plain)->plan();
  check_engine(shape, plan.forward);
  check_engine(shape, plan.backward_data);
  check_engine(shape, plan.backward_weights);
  EXPECT_FALSE(plan.bias_fused || plan.relu_fused);
  EXPECT_EQ(describe(plan.weight_gradient_type), describe(expected_weight_gradient(shape)));
  EXPECT_LE(plan.workspace_bytes, kWorkspaceLimit);

  auto fused = plan_convolution(
      context, shape,
      {.bias = true, .relu = true, .needs_weight_gradient = false, .needs_input_gradient = false});
  ASSERT_TRUE(fused.ok()) << fused.error().message;
  const ConvolutionPlan& fused_plan = (*fused)->plan();
  check_engine(shape, fused_plan.forward);
  EXPECT_EQ(fused_plan.bias_fused, expects_fusion(shape));
  EXPECT_EQ(fused_plan.relu_fused, expects_fusion(shape));
  EXPECT_EQ(fused_plan.backward_data, "") << "was not asked for";
  EXPECT_EQ(fused_plan.backward_weights, "") << "was not asked for";
  if (everything()) {
    fmt::print("{}\n  forward  {}\n  fused    {}\n  data     {}\n  weights  {}, {}\n", describe(shape),
               plan.forward, fused_plan.bias_fused ? fused_plan.forward : "-", plan.backward_data,
               plan.backward_weights, describe(plan.weight_gradient_type));
  }
}

class OnAnH200 : public testing::TestWithParam<std::tuple<MathMode, int>> {};

TEST_P(OnAnH200, EveryDirectionOfTheBenchmarksConvolutionsHasAnEngineThatKeepsToItsPrecision) {
  if (cudnnGetVersion() < 91900) {
    GTEST_SKIP() << "what is expected was found with cuDNN 9.19; this is " << cudnnGetVersion();
  }
  const auto [math, lanes] = GetParam();
  const auto context = h200(kWorkspaceLimit);
  ASSERT_NE(context, nullptr);
  for (const Case& one : cases()) {
    if (math != MathMode::bf16 || one.in_bf16 || everything()) {
      SCOPED_TRACE(one.name);
      check_case(*context, of_lanes(one, lanes, math));
    }
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<MathMode, int>>& info) {
  return fmt::format("{}With{}Lanes", describe(std::get<0>(info.param)), std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(, OnAnH200,
                         testing::Combine(testing::Values(MathMode::fp32, MathMode::tf32, MathMode::bf16),
                                          testing::Values(1, 8, 64)),
                         name_of);

TEST(Planning, RefusesInASentenceWhatNoEngineDoesWithinTheWorkspace) {
  const auto context = h200(-1);  // not even none is allowed
  ASSERT_NE(context, nullptr);
  auto planned = plan_convolution(*context, images(8, 16, 8, 16, 3, 1), {});
  ASSERT_FALSE(planned.ok());
  const std::string& message = planned.error().message;
  EXPECT_NE(message.find("3×3 convolution of 8 rows of 16×8×8 into 16 filters, padding 1, fp32 (forward)"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("Try another precision"), std::string::npos) << message;
}

TEST(Planning, RefusesADescriptionThatIsNone) {
  auto context = audit_dnn_context("{}", 0);
  ASSERT_FALSE(context.ok());
  EXPECT_NE(context.error().message.find("CUDNN_STATUS_"), std::string::npos) << context.error().message;
}

}  // namespace
}  // namespace regatta
