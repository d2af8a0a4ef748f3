// Values in the device's memory: of either element type there, float in arithmetic, and moved many at once.
// For kernels and what launches them.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "models/cuda/element_type.h"

namespace regatta::cuda {

using Bfloat16 = __nv_bfloat16;

__device__ __forceinline__ float to_float(float value) { return value; }
__device__ __forceinline__ float to_float(Bfloat16 value) { return __bfloat162float(value); }
__device__ __forceinline__ void assign(float value, float& element) { element = value; }
__device__ __forceinline__ void assign(float value, Bfloat16& element) {
  element = __float2bfloat16_rn(value);
}

// Elements of 16 bytes, the most that a thread moves in one instruction.
template <class Element>
inline constexpr int kPack = 16 / static_cast<int>(sizeof(Element));

template <int Size>
struct Floats {
  float at[Size];
};

template <int Bytes>
struct RawBytes;
template <>
struct RawBytes<1> {
  using Type = unsigned char;
};
template <>
struct RawBytes<2> {
  using Type = unsigned short;
};
template <>
struct RawBytes<4> {
  using Type = unsigned;
};
template <>
struct RawBytes<8> {
  using Type = uint2;
};
template <>
struct RawBytes<16> {
  using Type = uint4;
};

// `Size` neighbours, the first at a multiple of their bytes.
template <int Size, class Element>
__device__ __forceinline__ Floats<Size> load(const Element* from) {
  using Raw = typename RawBytes<Size* static_cast<int>(sizeof(Element))>::Type;
  const Raw raw = *reinterpret_cast<const Raw*>(from);
  Element elements[Size];
  memcpy(static_cast<void*>(elements), &raw, sizeof raw);
  Floats<Size> values;
#pragma unroll
  for (int i = 0; i < Size; ++i) {
    values.at[i] = to_float(elements[i]);
  }
  return values;
}

template <int Size, class Element>
__device__ __forceinline__ void store(const Floats<Size>& values, Element* to) {
  using Raw = typename RawBytes<Size* static_cast<int>(sizeof(Element))>::Type;
  Element elements[Size];
#pragma unroll
  for (int i = 0; i < Size; ++i) {
    assign(values.at[i], elements[i]);
  }
  Raw raw;
  memcpy(&raw, elements, sizeof raw);
  *reinterpret_cast<Raw*>(to) = raw;
}

// On the host: function(Element()), to choose a kernel's instance.
template <class Function>
void with_element(ElementType type, const Function& function) {
  if (type == ElementType::bf16) {
    function(Bfloat16());
  } else {
    function(float());
  }
}

// function(Element(), Size), with how many elements a thread moves at once where they stand in runs of `run`.
template <class Function>
void with_packs(ElementType type, std::int64_t run, const Function& function) {
  with_element(type, [&](auto element) {
    constexpr int kSize = kPack<decltype(element)>;
    if (run % kSize == 0) {
      function(element, std::integral_constant<int, kSize>());
    } else {
      function(element, std::integral_constant<int, 1>());
    }
  });
}

}  // namespace regatta::cuda
