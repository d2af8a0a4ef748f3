// Linux: mremap(2) with an old size of zero sees shared memory twice; MADV_COLLAPSE, since 6.1.
#include "collectives/huge_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace regatta {
namespace {

constexpr int kCollapse = 25;  // MADV_COLLAPSE, which older headers lack

std::uintptr_t number_of(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

// Where in its file `memory` begins, modulo a huge page; nullopt: it does not lie within one mapping. A line
// of /proc/self/maps: "begin-end permissions offset …", in hexadecimal digits.
std::optional<std::size_t> place_in_file(std::span<const std::byte> memory) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::size_t offset = 0;
    char dash = 0;
    std::string permissions;
    fields >> std::hex >> begin >> dash >> end >> permissions >> offset;
    const std::uintptr_t first = number_of(memory.data());
    if (fields && begin <= first && first + memory.size() <= end) {
      return (first - begin + offset) % kHugePageBytes;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<AlignedView> AlignedView::of(std::span<std::byte> memory) {
  const auto place = place_in_file(memory);
  if (!place) {
    return std::nullopt;
  }
  const std::size_t room = memory.size() + 2 * kHugePageBytes;
  void* const reserved = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) {
    return std::nullopt;
  }
  auto* const begin = static_cast<std::byte*>(reserved);
  const std::size_t behind = (kHugePageBytes - number_of(reserved) % kHugePageBytes) % kHugePageBytes;
  AlignedView view({begin, room}, begin + behind + *place);
  if (::mremap(memory.data(), 0, memory.size(), MREMAP_MAYMOVE | MREMAP_FIXED, view.data_) == MAP_FAILED) {
    return std::nullopt;
  }
  return view;
}

AlignedView::~AlignedView() {
  if (!mapping_.empty()) {
    ::munmap(mapping_.data(), mapping_.size());
  }
}

void ask_for_huge_pages(std::span<std::byte> memory) {
  const std::uintptr_t begin = number_of(memory.data());
  const std::uintptr_t first = (begin + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const std::uintptr_t end = (begin + memory.size()) / kHugePageBytes * kHugePageBytes;
  if (first < end) {
    (void)::madvise(memory.data() + (first - begin), end - first, kCollapse);
  }
}

}  // namespace regatta
