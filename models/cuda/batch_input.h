// Puts a sample's inputs where the network reads them. For kernels only.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/batch.h"
#include "models/cuda/elements.h"

namespace regatta::cuda {

// The host's number of the input that stands at `place` of a sample.
__device__ __forceinline__ std::uint32_t input_at(const InputLayout& layout, std::uint32_t place) {
  return place % layout.channels * layout.positions + place / layout.channels;
}

__device__ __forceinline__ void write_input(const DeviceBatch& batch, std::int64_t at, float value) {
  if (batch.layout.type == ElementType::f32) {
    static_cast<float*>(batch.inputs)[at] = value;
  } else {
    assign(value, static_cast<Bfloat16*>(batch.inputs)[at]);
  }
}

}  // namespace regatta::cuda
