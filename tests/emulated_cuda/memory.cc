// See memory.h.
#include "emulated_cuda/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "emulated_cuda/emulator.h"
#include "emulated_cuda/kernel.h"

namespace regatta {
namespace {

constexpr std::size_t kArenaBytes = std::size_t{1} << 38;  // of addresses; memory is taken page by page
constexpr std::size_t kPage = 4096;
constexpr std::size_t kGranularity = 512;  // what a small allocation costs at least, as on a device
constexpr int kFreshByte = 0xFF;           // a NaN as float, double and bfloat16
constexpr std::size_t kPinnedGuardBytes = 64;
// NaN again, for whoever reads it, but not what stores of NaN write.
constexpr unsigned char kGuard[2] = {0xFE, 0xFF};

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

void* pointer(std::uintptr_t address) { return reinterpret_cast<void*>(address); }

}  // namespace

EmulatedMemory& emulated_memory() {
  static auto* const memory = new EmulatedMemory;  // outlives every destructor that frees device memory
  return *memory;
}

void set_emulated_memory_limit(std::size_t bytes) { emulated_memory().set_limit(bytes); }
std::size_t emulated_memory_used() { return emulated_memory().used(); }
std::size_t emulated_memory_peak() { return emulated_memory().peak(); }

EmulatedMemory::EmulatedMemory() {
  void* const arena =
      mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (arena == MAP_FAILED) {
    emulation_failed("no addresses for the device's memory: is there a limit on virtual memory (ulimit -v)?");
  }
  arena_ = reinterpret_cast<std::uintptr_t>(arena);
}

void* EmulatedMemory::allocate(std::size_t bytes) {
  const std::size_t charged = round_up(bytes, kGranularity);
  const std::size_t reserved = round_up(bytes + 1, kPage);  // a guard byte at least
  if (charged > limit_ || used_ > limit_ - charged || arena_used_ + reserved + 2 * kPage > kArenaBytes) {
    return nullptr;
  }
  arena_used_ += kPage;  // never opened, so that a miss on either side is seen
  const auto [block, inserted] =
      device_.emplace(arena_ + arena_used_, Block{bytes, reserved, ++allocations_, false});
  arena_used_ += reserved;
  used_ += charged;
  peak_ = std::max(peak_, used_);
  protect(*block, true);
  std::memset(pointer(block->first), kFreshByte, bytes);
  write_guard(*block);
  protect(*block, open_ > 0);
  return pointer(block->first);
}

bool EmulatedMemory::free(void* address) {
  const auto block = device_.find(reinterpret_cast<std::uintptr_t>(address));
  if (block == device_.end() || block->second.freed) {
    return false;
  }
  protect(*block, true);
  check_guard(*block, "device");
  protect(*block, false);
  madvise(address, block->second.reserved_bytes, MADV_DONTNEED);
  block->second.freed = true;
  used_ -= round_up(block->second.bytes, kGranularity);
  return true;
}

void* EmulatedMemory::allocate_pinned(std::size_t bytes) {
  const std::size_t reserved = round_up(bytes + kPinnedGuardBytes, kPage);
  void* const address = std::aligned_alloc(kPage, reserved);
  if (address == nullptr) {
    return nullptr;
  }
  std::memset(address, kFreshByte, bytes);
  const auto [block, inserted] = pinned_.insert_or_assign(reinterpret_cast<std::uintptr_t>(address),
                                                          Block{bytes, reserved, ++allocations_, false});
  write_guard(*block);
  return address;
}

bool EmulatedMemory::free_pinned(void* address) {
  const auto block = pinned_.find(reinterpret_cast<std::uintptr_t>(address));
  if (block == pinned_.end()) {
    return false;
  }
  check_guard(*block, "pinned host");
  std::free(address);
  pinned_.erase(block);
  return true;
}

const EmulatedMemory::Blocks::value_type* EmulatedMemory::find(const Blocks& blocks, const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  auto block = blocks.upper_bound(at);
  if (block == blocks.begin()) {
    return nullptr;
  }
  --block;
  return at < block->first + block->second.reserved_bytes ? &*block : nullptr;
}

MemoryKind EmulatedMemory::kind_of(const void* address) const {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  if (at >= arena_ && at < arena_ + kArenaBytes) {
    return MemoryKind::kDevice;
  }
  return find(pinned_, address) != nullptr ? MemoryKind::kPinned : MemoryKind::kPageable;
}

bool EmulatedMemory::holds(const void* address, std::size_t bytes) const {
  const Blocks::value_type* const block =
      find(kind_of(address) == MemoryKind::kDevice ? device_ : pinned_, address);
  return block != nullptr && !block->second.freed &&
         reinterpret_cast<std::uintptr_t>(address) + bytes <= block->first + block->second.bytes;
}

void EmulatedMemory::write_guard(const Blocks::value_type& block) {
  auto* const begin = static_cast<unsigned char*>(pointer(block.first));
  for (std::size_t i = block.second.bytes; i < block.second.reserved_bytes; ++i) {
    begin[i] = kGuard[i % 2];
  }
}

void EmulatedMemory::check_guard(const Blocks::value_type& block, const char* what) {
  const auto* const begin = static_cast<const unsigned char*>(pointer(block.first));
  for (std::size_t i = block.second.bytes; i < block.second.reserved_bytes; ++i) {
    if (begin[i] != kGuard[i % 2]) {
      emulation_failed(fmt::format("something wrote {} bytes behind the end of {} allocation {} of {} bytes",
                                   i - block.second.bytes, what, block.second.number, block.second.bytes));
    }
  }
}

void EmulatedMemory::check_guards() {
  const Access access(*this);
  for (const auto& block : device_) {
    if (!block.second.freed) {
      check_guard(block, "device");
    }
  }
  for (const auto& block : pinned_) {
    check_guard(block, "pinned host");
  }
}

void EmulatedMemory::protect(const Blocks::value_type& block, bool open) const {
  if (mprotect(pointer(block.first), block.second.reserved_bytes,
               open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0) {
    emulation_failed("mprotect refused to open or close device memory");
  }
}

void EmulatedMemory::open_all(bool open) {
  for (const auto& block : device_) {
    if (!block.second.freed) {
      protect(block, open);
    }
  }
}

EmulatedMemory::Access::Access(EmulatedMemory& memory) : memory_(memory) {
  if (memory_.open_++ == 0) {
    memory_.open_all(true);
  }
}

EmulatedMemory::Access::~Access() {
  if (--memory_.open_ == 0) {
    memory_.open_all(false);
  }
}

std::string EmulatedMemory::leaks() const {
  std::string lines;
  for (const auto& [address, block] : device_) {
    if (!block.freed) {
      lines += fmt::format("device allocation {} of {} bytes was never freed\n", block.number, block.bytes);
    }
  }
  for (const auto& [address, block] : pinned_) {
    lines +=
        fmt::format("pinned host allocation {} of {} bytes was never freed\n", block.number, block.bytes);
  }
  return lines;
}

std::string EmulatedMemory::describe(const void* address) const {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const Blocks::value_type* const block = find(device_, address);
  if (block != nullptr) {
    return fmt::format("byte {} of {}device allocation {} of {} bytes", at - block->first,
                       block->second.freed ? "the freed " : "", block->second.number, block->second.bytes);
  }
  const auto next = device_.upper_bound(at);
  if (next != device_.end() && next->first - at <= kPage) {
    return fmt::format("{} bytes before device allocation {} of {} bytes", next->first - at,
                       next->second.number, next->second.bytes);
  }
  if (next != device_.begin()) {
    const auto& last = *std::prev(next);
    return fmt::format("{} bytes behind the end of device allocation {} of {} bytes",
                       at - last.first - last.second.bytes, last.second.number, last.second.bytes);
  }
  return "device memory that was never allocated";
}

}  // namespace regatta
