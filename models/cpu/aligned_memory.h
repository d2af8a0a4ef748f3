// Zeroed memory, aligned to a cache line. Pages that are never touched cost nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace regatta {

class AlignedMemory {
 public:
  AlignedMemory() = default;
  // Throws std::bad_alloc, as new does.
  explicit AlignedMemory(std::size_t bytes) : block_(std::calloc(bytes + kAlignment, 1)) {
    if (block_ == nullptr) {
      throw std::bad_alloc();
    }
  }
  std::byte* data() const {
    const auto address = reinterpret_cast<std::uintptr_t>(block_.get());
    return reinterpret_cast<std::byte*>((address + kAlignment - 1) / kAlignment * kAlignment);
  }
  float* floats() const { return reinterpret_cast<float*>(data()); }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Free {
    void operator()(void* block) const { std::free(block); }
  };
  std::unique_ptr<void, Free> block_;
};

}  // namespace regatta
