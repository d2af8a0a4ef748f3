// What pooling over windows and over whole images have in common. For kernels only.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/elements.h"

namespace regatta::cuda {

// The places of a pack, moved as few at a time as 16 bytes allow.
template <int Size, class Place>
struct Places {
  static constexpr int kBytes = Size * static_cast<int>(sizeof(Place));
  using Raw = typename RawBytes < kBytes<16 ? kBytes : 16>::Type;
  static constexpr int kMoves = kBytes / static_cast<int>(sizeof(Raw));

  Place at[Size];

  __device__ void load(const Place* from) {
    Raw raw[kMoves];
#pragma unroll
    for (int i = 0; i < kMoves; ++i) {
      raw[i] = reinterpret_cast<const Raw*>(from)[i];
    }
    memcpy(at, raw, sizeof at);
  }
  __device__ void store(Place* to) const {
    Raw raw[kMoves];
    memcpy(raw, at, sizeof at);
#pragma unroll
    for (int i = 0; i < kMoves; ++i) {
      reinterpret_cast<Raw*>(to)[i] = raw[i];
    }
  }
};

// No window has so many places.
template <class Place>
inline constexpr Place kNowhere = static_cast<Place>(~std::uint64_t{0});

// The largest of the values taken so far, and the place of the first of equals. A NaN is the largest only
// where nothing else was taken.
template <int Size>
struct Largest {
  Floats<Size> values;
  std::uint32_t places[Size] = {};

  __device__ explicit Largest(const Floats<Size>& first) : values(first) {}

  __device__ void take(const Floats<Size>& others, std::uint32_t place) {
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      const float value = values.at[i];
      if (others.at[i] > value || value != value) {
        values.at[i] = others.at[i];
        places[i] = place;
      }
    }
  }

  // `drops_zeros`: the values are a relu's output, and what it cut off gets the place kNowhere.
  template <class Place>
  __device__ void store_places(Place* to, bool drops_zeros = false) const {
    Places<Size, Place> stored;
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      const bool is_dropped = drops_zeros && !(values.at[i] > 0);
      stored.at[i] = is_dropped ? kNowhere<Place> : static_cast<Place>(places[i]);
    }
    stored.store(to);
  }
};

template <int Size>
__device__ __forceinline__ void add(const Floats<Size>& values, Floats<Size>& sums) {
#pragma unroll
  for (int i = 0; i < Size; ++i) {
    sums.at[i] += values.at[i];
  }
}

// Those whose place is this one.
template <int Size, class Place>
__device__ __forceinline__ void add_where(const Place* places, std::uint32_t place,
                                          const Floats<Size>& values, Floats<Size>& sums) {
  Places<Size, Place> of_values;
  of_values.load(places);
#pragma unroll
  for (int i = 0; i < Size; ++i) {
    sums.at[i] += of_values.at[i] == place ? values.at[i] : 0.0F;
  }
}

template <int Size>
__device__ __forceinline__ void scale(float factor, Floats<Size>& values) {
#pragma unroll
  for (int i = 0; i < Size; ++i) {
    values.at[i] *= factor;
  }
}

// The windows along one axis that the point `at` lies in.
struct WindowRange {
  std::uint32_t first;
  std::uint32_t end;

  __device__ WindowRange(std::uint32_t at, std::uint32_t size, std::uint32_t stride, std::uint32_t windows)
      : first(at < size ? 0 : (at - size) / stride + 1), end(min(at / stride + 1, windows)) {}
};

}  // namespace regatta::cuda
