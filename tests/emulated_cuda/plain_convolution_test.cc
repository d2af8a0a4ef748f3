// The plain loops that convolutions are held against, themselves held against numbers made by hand and
// against each other: the gradients are those of the forward direction.
#include "emulated_cuda/plain_convolution.h"

#include <gmock/gmock.h>

#include <numeric>

namespace regatta {
namespace {

using ::testing::ElementsAre;

TEST(PlainConvolution, KeepsGroupsApartAndStepsOverTheInputWithZerosAround) {
  // A 3×3 image of two channels, each a group with one filter; windows of 2×2 start at -1 and 1.
  const ConvolutionShape shape = {.rows = 1,
                                  .channels = 2,
                                  .height = 3,
                                  .width = 3,
                                  .filters = 2,
                                  .kernel = 2,
                                  .stride = 2,
                                  .padding = 1,
                                  .groups = 2};
  const std::vector<float> x = {1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60, 7, 70, 8, 80, 9, 90};
  const std::vector<float> w = {1, 2, 3, 4, 0, 0, 0, -1};
  const std::vector<float> bias = {100, 15};
  std::vector<float> y(8);
  plain_forward(shape, x.data(), w.data(), nullptr, false, y.data());
  // Filter 1 sees [0 0; 0 1], [0 0; 2 3], [0 4; 0 7], [5 6; 8 9]; filter 2 the last corner of each, times
  // -10.
  EXPECT_THAT(y, ElementsAre(4, -10, 18, -30, 36, -70, 77, -90));
  plain_forward(shape, x.data(), w.data(), bias.data(), true, y.data());
  EXPECT_THAT(y, ElementsAre(104, 5, 118, 0, 136, 0, 177, 0));
}

TEST(PlainConvolution, HasTheGradientsOfItsForwardDirection) {
  const ConvolutionShape shape = {.rows = 2,
                                  .channels = 6,
                                  .height = 5,
                                  .width = 4,
                                  .filters = 9,
                                  .kernel = 3,
                                  .stride = 2,
                                  .padding = 1,
                                  .groups = 3};
  const auto filled = [](std::int64_t count, int step) {
    std::vector<float> values;
    for (int i = 0; i < count; ++i) {
      values.push_back(static_cast<float>(i * step % 7 - 3));
    }
    return values;
  };
  const auto product = [](const std::vector<float>& a, const std::vector<float>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0F);
  };
  const std::vector<float> x = filled(elements_of_x(shape), 3);
  const std::vector<float> w = filled(elements_of_w(shape), 5);
  const std::vector<float> dy = filled(elements_of_y(shape), 2);
  std::vector<float> y(dy.size());
  std::vector<float> dx(x.size());
  std::vector<float> dw(w.size());
  plain_forward(shape, x.data(), w.data(), nullptr, false, y.data());
  plain_backward_data(shape, dy.data(), w.data(), dx.data());
  plain_backward_weights(shape, x.data(), dy.data(), dw.data());
  // Bilinear in x and w, and in small integers exact: ⟨dy, y⟩ = ⟨dx, x⟩ = ⟨dw, w⟩.
  EXPECT_NE(product(dy, y), 0);
  EXPECT_EQ(product(dy, y), product(dx, x));
  EXPECT_EQ(product(dy, y), product(dw, w));
}

TEST(PlainConvolution, RoundsBf16SumsOnceAtTheirEnd) {
  const ConvolutionShape shape = {.rows = 1,
                                  .channels = 300,
                                  .height = 1,
                                  .width = 1,
                                  .filters = 1,
                                  .type = ElementType::bf16,
                                  .math = MathMode::bf16};
  std::vector<Bfloat16> ones(300);
  for (Bfloat16& one : ones) {
    store(1.0F, one);
  }
  Bfloat16 y;
  plain_forward(shape, ones.data(), ones.data(), nullptr, false, &y);
  EXPECT_EQ(to_float(y), 300);  // a sum kept in bf16 would stop at 256
}

}  // namespace
}  // namespace regatta
