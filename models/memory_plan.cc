// The greedy placement of buffers in an arena.
#include "models/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace regatta {

MemoryPlan::Buffer MemoryPlan::allocate(std::size_t bytes) {
  lives_.push_back({.bytes = aligned(bytes, alignment_), .first = now_, .last = now_});
  return lives_.size() - 1;
}

void MemoryPlan::use(Buffer buffer) { lives_.at(buffer).last = now_; }

void MemoryPlan::grow(Buffer buffer, std::size_t bytes) {
  Life& life = lives_.at(buffer);
  CHECK(!life.placed, "arrange() comes last");
  life.bytes = std::max(life.bytes, aligned(bytes, alignment_));
}

std::size_t MemoryPlan::offset(Buffer buffer) const {
  CHECK(lives_.at(buffer).placed, "arrange() comes first");
  return lives_[buffer].offset;
}

// Walks the placed buffers that live at the same time, from low to high, to the first gap that is wide
// enough.
std::size_t MemoryPlan::lowest_gap(const Life& life, const std::vector<Buffer>& placed_by_offset) const {
  std::size_t candidate = 0;
  for (const Buffer placed : placed_by_offset) {
    const Life& other = lives_[placed];
    if (other.last < life.first || life.last < other.first) {
      continue;
    }
    if (candidate + life.bytes <= other.offset) {
      break;
    }
    candidate = std::max(candidate, other.offset + other.bytes);
  }
  return candidate;
}

void MemoryPlan::arrange() {
  std::vector<Buffer> by_size(lives_.size());
  std::iota(by_size.begin(), by_size.end(), Buffer{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](Buffer a, Buffer b) { return lives_[a].bytes > lives_[b].bytes; });
  std::vector<Buffer> placed_by_offset;
  for (const Buffer buffer : by_size) {
    Life& life = lives_[buffer];
    life.offset = lowest_gap(life, placed_by_offset);
    life.placed = true;
    size_ = std::max(size_, life.offset + life.bytes);
    const auto place = std::upper_bound(placed_by_offset.begin(), placed_by_offset.end(), life.offset,
                                        [&](std::size_t at, Buffer b) { return at < lives_[b].offset; });
    placed_by_offset.insert(place, buffer);
  }
}

}  // namespace regatta
