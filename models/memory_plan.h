// One arena for everything that lives within a step. Each buffer is needed from one moment of the step to
// another; buffers whose lives do not meet share memory. Moments are numbered in the order of execution,
// which is also the order of planning.
#pragma once

#include <cstddef>
#include <vector>

namespace regatta {

class MemoryPlan {
 public:
  using Buffer = std::size_t;
  static constexpr std::size_t kAlignment = 64;  // a cache line

  // Offsets and sizes are multiples of `alignment`.
  explicit MemoryPlan(std::size_t alignment = kAlignment) : alignment_(alignment) {}

  // The next moment begins.
  void advance() { ++now_; }
  // A buffer that lives from now on, for now only.
  Buffer allocate(std::size_t bytes);
  // It is needed now, too.
  void use(Buffer buffer);

  // Of so many bytes at least; when it lives stays as it is.
  void grow(Buffer buffer, std::size_t bytes);

  // After the last moment: gives every buffer its place. Greedy by size (Pisarchyk and Lee, "Efficient memory
  // management for deep neural net inference", 2020, section 5.2): the largest first, each at the lowest
  // offset where it meets no living neighbour.
  void arrange();
  std::size_t offset(Buffer buffer) const;
  std::size_t size() const { return size_; }

  static constexpr std::size_t aligned(std::size_t bytes, std::size_t alignment = kAlignment) {
    return (bytes + alignment - 1) / alignment * alignment;
  }

 private:
  struct Life {
    std::size_t bytes = 0;
    int first = 0;
    int last = 0;
    std::size_t offset = 0;
    bool placed = false;
  };
  std::size_t lowest_gap(const Life& life, const std::vector<Buffer>& placed_by_offset) const;

  std::size_t alignment_;
  std::vector<Life> lives_;
  int now_ = 0;
  std::size_t size_ = 0;
};

}  // namespace regatta
