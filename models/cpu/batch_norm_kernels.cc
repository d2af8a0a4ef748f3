// Two shapes of inner loop: along the pixels of one channel (row-major images), or along the channels of one
// pixel.
#include "models/cpu/batch_norm_kernels.h"

#include <algorithm>

#include "base/multiversion.h"

namespace regatta {
namespace {

// The block's floats of one row.
std::int64_t row_offset(const BatchNormBlock& block, std::int64_t row) {
  const ChannelLayout& layout = *block.layout;
  return row * layout.row_floats() + block.index * layout.pixels * layout.block;
}

std::int64_t first_channel(const BatchNormBlock& block) { return block.index * block.layout->block; }

void add_partial(const BatchNormBlock& block, const float* partial, double* sums) {
  for (std::int64_t channel = 0; channel < block.layout->block; ++channel) {
    sums[first_channel(block) + channel] += static_cast<double>(partial[channel]);
  }
}

template <class Element>
[[gnu::always_inline]] inline void sum(const BatchNormBlock& block, const Element* values, double* sums) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  float* __restrict const partial = block.partial;
  std::fill_n(sums + first_channel(block), width, 0.0);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const Element* __restrict x = values + row_offset(block, row);
    std::fill_n(partial, width, 0.0F);
    if (width == 1) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        sum += to_float(x[pixel]);
      }
      partial[0] = sum;
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          partial[c] += to_float(x[c]);
        }
      }
    }
    add_partial(block, partial, sums);
  }
}

template <class Element>
[[gnu::always_inline]] inline void sum_squares(const BatchNormBlock& block, const Element* values,
                                               const float* mean, double* sums) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  float* __restrict const partial = block.partial;
  std::fill_n(sums + first_channel(block), width, 0.0);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const Element* __restrict x = values + row_offset(block, row);
    std::fill_n(partial, width, 0.0F);
    if (width == 1) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        sum += (to_float(x[pixel]) - m[0]) * (to_float(x[pixel]) - m[0]);
      }
      partial[0] = sum;
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          partial[c] += (to_float(x[c]) - m[c]) * (to_float(x[c]) - m[c]);
        }
      }
    }
    add_partial(block, partial, sums);
  }
}

template <class Element>
[[gnu::always_inline]] inline void sum_products(const BatchNormBlock& block, const Element* values,
                                                const Element* gradients, const float* mean,
                                                double* gradient_sums, double* product_sums) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  float* __restrict const partial = block.partial;
  float* __restrict const product = block.partial + width;
  std::fill_n(gradient_sums + first_channel(block), width, 0.0);
  std::fill_n(product_sums + first_channel(block), width, 0.0);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const Element* __restrict x = values + row_offset(block, row);
    const Element* __restrict dy = gradients + row_offset(block, row);
    std::fill_n(partial, 2 * width, 0.0F);
    if (width == 1) {
      float sum = 0;
      float products = 0;
#pragma omp simd reduction(+ : sum, products)
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        sum += to_float(dy[pixel]);
        products += to_float(dy[pixel]) * (to_float(x[pixel]) - m[0]);
      }
      partial[0] = sum;
      product[0] = products;
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width, dy += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          partial[c] += to_float(dy[c]);
          product[c] += to_float(dy[c]) * (to_float(x[c]) - m[c]);
        }
      }
    }
    add_partial(block, partial, gradient_sums);
    add_partial(block, product, product_sums);
  }
}

template <class Element>
[[gnu::always_inline]] inline void write_normalised(const BatchNormBlock& block, const Element* values,
                                                    const float* mean, const float* factor,
                                                    const float* shift, Element* results) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  const float* __restrict const a = factor + first_channel(block);
  const float* __restrict const b = shift + first_channel(block);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const Element* x = values + row_offset(block, row);
    Element* y = results + row_offset(block, row);
    if (width == 1) {
#pragma omp simd
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        store((to_float(x[pixel]) - m[0]) * a[0] + b[0], y[pixel]);
      }
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width, y += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          store((to_float(x[c]) - m[c]) * a[c] + b[c], y[c]);
        }
      }
    }
  }
}

template <class Element>
[[gnu::always_inline]] inline void write_gradients(const BatchNormBlock& block, const Element* values,
                                                   const Element* gradients, const float* mean,
                                                   const float* factor, const float* offset,
                                                   const float* slope, Element* results) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  const float* __restrict const a = factor + first_channel(block);
  const float* __restrict const b = offset + first_channel(block);
  const float* __restrict const s = slope + first_channel(block);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const Element* x = values + row_offset(block, row);
    const Element* dy = gradients + row_offset(block, row);
    Element* dx = results + row_offset(block, row);
    if (width == 1) {
#pragma omp simd
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        store(a[0] * (to_float(dy[pixel]) - b[0] - (to_float(x[pixel]) - m[0]) * s[0]), dx[pixel]);
      }
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width, dy += width, dx += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          store(a[c] * (to_float(dy[c]) - b[c] - (to_float(x[c]) - m[c]) * s[c]), dx[c]);
        }
      }
    }
  }
}

}  // namespace

REGATTA_MULTIVERSION
void sum_channels(const BatchNormBlock& block, const float* values, double* sums) {
  sum(block, values, sums);
}

REGATTA_MULTIVERSION
void sum_channels(const BatchNormBlock& block, const Bfloat16* values, double* sums) {
  sum(block, values, sums);
}

REGATTA_MULTIVERSION
void sum_squared_deviations(const BatchNormBlock& block, const float* values, const float* mean,
                            double* sums) {
  sum_squares(block, values, mean, sums);
}

REGATTA_MULTIVERSION
void sum_squared_deviations(const BatchNormBlock& block, const Bfloat16* values, const float* mean,
                            double* sums) {
  sum_squares(block, values, mean, sums);
}

REGATTA_MULTIVERSION
void sum_gradients(const BatchNormBlock& block, const float* values, const float* gradients,
                   const float* mean, double* gradient_sums, double* product_sums) {
  sum_products(block, values, gradients, mean, gradient_sums, product_sums);
}

REGATTA_MULTIVERSION
void sum_gradients(const BatchNormBlock& block, const Bfloat16* values, const Bfloat16* gradients,
                   const float* mean, double* gradient_sums, double* product_sums) {
  sum_products(block, values, gradients, mean, gradient_sums, product_sums);
}

REGATTA_MULTIVERSION
void normalise(const BatchNormBlock& block, const float* values, const float* mean, const float* factor,
               const float* shift, float* results) {
  write_normalised(block, values, mean, factor, shift, results);
}

REGATTA_MULTIVERSION
void normalise(const BatchNormBlock& block, const Bfloat16* values, const float* mean, const float* factor,
               const float* shift, Bfloat16* results) {
  write_normalised(block, values, mean, factor, shift, results);
}

REGATTA_MULTIVERSION
void normalise_gradients(const BatchNormBlock& block, const float* values, const float* gradients,
                         const float* mean, const float* factor, const float* offset, const float* slope,
                         float* results) {
  write_gradients(block, values, gradients, mean, factor, offset, slope, results);
}

REGATTA_MULTIVERSION
void normalise_gradients(const BatchNormBlock& block, const Bfloat16* values, const Bfloat16* gradients,
                         const float* mean, const float* factor, const float* offset, const float* slope,
                         Bfloat16* results) {
  write_gradients(block, values, gradients, mean, factor, offset, slope, results);
}

}  // namespace regatta
