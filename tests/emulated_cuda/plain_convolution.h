// The three directions of a convolution as plain loops: what tests hold cuDNN against, and what stands in for
// it on the emulated device.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "models/cpu/bfloat16.h"
#include "models/cuda/convolution.h"

namespace regatta {

inline std::int64_t elements_of_x(const ConvolutionShape& shape) {
  return shape.rows * shape.height * shape.width * shape.channels;
}
inline std::int64_t elements_of_w(const ConvolutionShape& shape) {
  return shape.filters * shape.kernel * shape.kernel * (shape.channels / shape.groups);
}
inline std::int64_t elements_of_y(const ConvolutionShape& shape) {
  return shape.rows * shape.output_height() * shape.output_width() * shape.filters;
}

// Calls visit(x, w, y), the indices of elements, for each product x·w that belongs to the sum y.
template <class Visit>
void each_product(const ConvolutionShape& shape, const Visit& visit) {
  const std::int64_t in_group = shape.channels / shape.groups;
  const std::int64_t filters_in_group = shape.filters / shape.groups;
  for (std::int64_t y = 0; y < elements_of_y(shape); ++y) {
    const std::int64_t filter = y % shape.filters;
    const std::int64_t left = y / shape.filters % shape.output_width() * shape.stride - shape.padding;
    const std::int64_t point = y / shape.filters / shape.output_width();
    const std::int64_t top = point % shape.output_height() * shape.stride - shape.padding;
    const std::int64_t row = point / shape.output_height();
    for (std::int64_t i = 0; i < shape.kernel * shape.kernel; ++i) {
      const std::int64_t h = top + i / shape.kernel;
      const std::int64_t v = left + i % shape.kernel;
      if (h < 0 || h >= shape.height || v < 0 || v >= shape.width) {
        continue;
      }
      const std::int64_t x = ((row * shape.height + h) * shape.width + v) * shape.channels +
                             filter / filters_in_group * in_group;
      const std::int64_t w = (filter * shape.kernel * shape.kernel + i) * in_group;
      for (std::int64_t c = 0; c < in_group; ++c) {
        visit(x + c, w + c, y);
      }
    }
  }
}

template <class T>
void store_all(const std::vector<double>& sums, T* elements) {
  for (const double sum : sums) {
    store(static_cast<float>(sum), *elements++);
  }
}

// Sums are rounded once, when they are stored. `bias` may be null.
template <class T>
void plain_forward(const ConvolutionShape& shape, const T* x, const T* w, const float* bias, bool relu,
                   T* y) {
  std::vector<double> sums(static_cast<std::size_t>(elements_of_y(shape)));
  each_product(shape, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    sums[static_cast<std::size_t>(yi)] += static_cast<double>(to_float(x[xi])) * to_float(w[wi]);
  });
  for (std::size_t i = 0; i < sums.size(); ++i) {
    sums[i] += bias == nullptr ? 0 : bias[i % static_cast<std::size_t>(shape.filters)];
    sums[i] = relu ? std::max(0.0, sums[i]) : sums[i];  // NaN becomes 0, as it may in cuDNN
  }
  store_all(sums, y);
}

template <class T>
void plain_backward_data(const ConvolutionShape& shape, const T* dy, const T* w, T* dx) {
  std::vector<double> sums(static_cast<std::size_t>(elements_of_x(shape)));
  each_product(shape, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    sums[static_cast<std::size_t>(xi)] += static_cast<double>(to_float(dy[yi])) * to_float(w[wi]);
  });
  store_all(sums, dx);
}

template <class T, class Gradient>
void plain_backward_weights(const ConvolutionShape& shape, const T* x, const T* dy, Gradient* dw) {
  std::vector<double> sums(static_cast<std::size_t>(elements_of_w(shape)));
  each_product(shape, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    sums[static_cast<std::size_t>(wi)] += static_cast<double>(to_float(x[xi])) * to_float(dy[yi]);
  });
  store_all(sums, dw);
}

}  // namespace regatta
