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

}  // namespace

REGATTA_MULTIVERSION
void sum_channels(const BatchNormBlock& block, const float* values, double* sums) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  float* __restrict const partial = block.partial;
  std::fill_n(sums + first_channel(block), width, 0.0);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const float* __restrict x = values + row_offset(block, row);
    std::fill_n(partial, width, 0.0F);
    if (width == 1) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        sum += x[pixel];
      }
      partial[0] = sum;
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          partial[c] += x[c];
        }
      }
    }
    add_partial(block, partial, sums);
  }
}

REGATTA_MULTIVERSION
void sum_squared_deviations(const BatchNormBlock& block, const float* values, const float* mean,
                            double* sums) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  float* __restrict const partial = block.partial;
  std::fill_n(sums + first_channel(block), width, 0.0);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const float* __restrict x = values + row_offset(block, row);
    std::fill_n(partial, width, 0.0F);
    if (width == 1) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        sum += (x[pixel] - m[0]) * (x[pixel] - m[0]);
      }
      partial[0] = sum;
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          partial[c] += (x[c] - m[c]) * (x[c] - m[c]);
        }
      }
    }
    add_partial(block, partial, sums);
  }
}

REGATTA_MULTIVERSION
void sum_gradients(const BatchNormBlock& block, const float* values, const float* gradients,
                   const float* mean, double* gradient_sums, double* product_sums) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  float* __restrict const partial = block.partial;
  float* __restrict const product = block.partial + width;
  std::fill_n(gradient_sums + first_channel(block), width, 0.0);
  std::fill_n(product_sums + first_channel(block), width, 0.0);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const float* __restrict x = values + row_offset(block, row);
    const float* __restrict dy = gradients + row_offset(block, row);
    std::fill_n(partial, 2 * width, 0.0F);
    if (width == 1) {
      float sum = 0;
      float products = 0;
#pragma omp simd reduction(+ : sum, products)
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        sum += dy[pixel];
        products += dy[pixel] * (x[pixel] - m[0]);
      }
      partial[0] = sum;
      product[0] = products;
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width, dy += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          partial[c] += dy[c];
          product[c] += dy[c] * (x[c] - m[c]);
        }
      }
    }
    add_partial(block, partial, gradient_sums);
    add_partial(block, product, product_sums);
  }
}

REGATTA_MULTIVERSION
void normalise(const BatchNormBlock& block, const float* values, const float* mean, const float* factor,
               const float* shift, float* results) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  const float* __restrict const a = factor + first_channel(block);
  const float* __restrict const b = shift + first_channel(block);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const float* x = values + row_offset(block, row);
    float* y = results + row_offset(block, row);
    if (width == 1) {
#pragma omp simd
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        y[pixel] = (x[pixel] - m[0]) * a[0] + b[0];
      }
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width, y += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          y[c] = (x[c] - m[c]) * a[c] + b[c];
        }
      }
    }
  }
}

REGATTA_MULTIVERSION
void normalise_gradients(const BatchNormBlock& block, const float* values, const float* gradients,
                         const float* mean, const float* factor, const float* offset, const float* slope,
                         float* results) {
  const std::int64_t width = block.layout->block;
  const std::int64_t pixels = block.layout->pixels;
  const float* __restrict const m = mean + first_channel(block);
  const float* __restrict const a = factor + first_channel(block);
  const float* __restrict const b = offset + first_channel(block);
  const float* __restrict const s = slope + first_channel(block);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const float* x = values + row_offset(block, row);
    const float* dy = gradients + row_offset(block, row);
    float* dx = results + row_offset(block, row);
    if (width == 1) {
#pragma omp simd
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        dx[pixel] = a[0] * (dy[pixel] - b[0] - (x[pixel] - m[0]) * s[0]);
      }
    } else {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, x += width, dy += width, dx += width) {
#pragma omp simd
        for (std::int64_t c = 0; c < width; ++c) {
          dx[c] = a[c] * (dy[c] - b[c] - (x[c] - m[c]) * s[c]);
        }
      }
    }
  }
}

}  // namespace regatta
