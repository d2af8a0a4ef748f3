// Signs and mantissas are random, exponents are not.
#include "models/cuda/device.h"
#include "models/cuda/launch.h"
#include "models/cuda/random_device.h"
#include "numbers.h"

namespace regatta::cuda {
namespace {

constexpr std::uint64_t kKey = 1;
constexpr std::uint32_t kOnes[] = {0x3F800000, 0x3F803F80};  // as f32, and as two of bf16
constexpr std::uint32_t kFree[] = {0x807FFFFF, 0x807F807F};  // sign and mantissa

__global__ void make_numbers(std::uint32_t* words, std::int64_t count, std::uint32_t ones,
                             std::uint32_t free) {
  each_element(count, [&](std::int64_t i) {
    words[i] = ones | (philox_at(kKey, static_cast<std::uint64_t>(i)).at[0] & free);
  });
}

}  // namespace

void fill_with_numbers(void* memory, std::size_t bytes, ElementType type, cudaStream_t stream) {
  const auto words = static_cast<std::int64_t>(bytes / sizeof(std::uint32_t));
  const int index = type == ElementType::f32 ? 0 : 1;
  launch(make_numbers, one_thread_each(words), stream, static_cast<std::uint32_t*>(memory), words,
         kOnes[index], kFree[index]);
}

}  // namespace regatta::cuda
