// What every implementation of convolutions says of a shape and asks of it.
#include <fmt/format.h>

#include "models/cuda/convolution.h"

namespace regatta {

std::string describe(const ConvolutionShape& shape) {
  std::string text =
      fmt::format("{0}×{0} convolution of {1} rows of {2}×{3}×{4} into {5} filters", shape.kernel, shape.rows,
                  shape.channels, shape.height, shape.width, shape.filters);
  if (shape.stride != 1) {
    text += fmt::format(", stride {}", shape.stride);
  }
  if (shape.padding != 0) {
    text += fmt::format(", padding {}", shape.padding);
  }
  if (shape.groups != 1) {
    text += fmt::format(", {} groups", shape.groups);
  }
  return text + fmt::format(", {}", describe(shape.math));
}

void check_shape(const ConvolutionShape& shape) {
  CHECK(shape.rows > 0 && shape.channels > 0 && shape.filters > 0 && shape.groups > 0);
  CHECK(shape.kernel > 0 && shape.stride > 0 && shape.padding >= 0);
  CHECK(shape.channels % shape.groups == 0 && shape.filters % shape.groups == 0);
  CHECK(shape.output_height() > 0 && shape.output_width() > 0, "the window is larger than the input");
  CHECK(shape.type == element_type(shape.math), "bf16 values exactly where products are bf16");
}

}  // namespace regatta
