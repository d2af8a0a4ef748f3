// See convert.h. bf16 values are rounded to nearest even.
#include "models/cuda/convert.h"
#include "models/cuda/map_elements.h"

namespace regatta::cuda {
namespace {

struct Same {
  __device__ float operator()(float value) const { return value; }
};

}  // namespace

void convert(cudaStream_t stream, std::int64_t size, ElementType from_type, const void* from,
             ElementType to_type, void* to) {
  with_element(from_type, [&](auto in) {
    with_element(to_type, [&](auto out) {
      map_elements(stream, size, Same(), static_cast<decltype(out)*>(to),
                   static_cast<const decltype(in)*>(from));
    });
  });
}

}  // namespace regatta::cuda
