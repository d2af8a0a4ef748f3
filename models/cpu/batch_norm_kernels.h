// The loops of batch normalisation over the rows of one rank and lane. Sums are taken per row in float and
// over rows in double. Arrays of channels have padded_channels() elements.
#pragma once

#include <cstdint>
#include <vector>

#include "models/cpu/bfloat16.h"
#include "models/cpu/channel_layout.h"

namespace regatta {

// One block of channels over the first `rows` rows. Callers give each thread its own blocks.
struct BatchNormBlock {
  const ChannelLayout* layout = nullptr;
  std::int64_t index = 0;  // of the block
  std::int64_t rows = 0;
  float* partial = nullptr;  // 2 × layout->block floats of working memory
};

// sums[c] = Σ x
void sum_channels(const BatchNormBlock& block, const float* values, double* sums);
void sum_channels(const BatchNormBlock& block, const Bfloat16* values, double* sums);
// sums[c] = Σ (x - mean[c])²
void sum_squared_deviations(const BatchNormBlock& block, const float* values, const float* mean,
                            double* sums);
void sum_squared_deviations(const BatchNormBlock& block, const Bfloat16* values, const float* mean,
                            double* sums);
// gradient_sums[c] = Σ dy;  product_sums[c] = Σ dy (x - mean[c])
void sum_gradients(const BatchNormBlock& block, const float* values, const float* gradients,
                   const float* mean, double* gradient_sums, double* product_sums);
void sum_gradients(const BatchNormBlock& block, const Bfloat16* values, const Bfloat16* gradients,
                   const float* mean, double* gradient_sums, double* product_sums);
// y = (x - mean[c]) · factor[c] + shift[c]; padded channels become zero when their factor and shift are.
void normalise(const BatchNormBlock& block, const float* values, const float* mean, const float* factor,
               const float* shift, float* results);
void normalise(const BatchNormBlock& block, const Bfloat16* values, const float* mean, const float* factor,
               const float* shift, Bfloat16* results);
// dx = factor[c] · (dy - offset[c] - (x - mean[c]) · slope[c]); may write over dy.
void normalise_gradients(const BatchNormBlock& block, const float* values, const float* gradients,
                         const float* mean, const float* factor, const float* offset, const float* slope,
                         float* results);
void normalise_gradients(const BatchNormBlock& block, const Bfloat16* values, const Bfloat16* gradients,
                         const float* mean, const float* factor, const float* offset, const float* slope,
                         Bfloat16* results);

}  // namespace regatta
