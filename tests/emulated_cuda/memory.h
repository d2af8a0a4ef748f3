// The emulated device's memory. It lies in pages of its own that only running device work may touch: a host
// that reads a device pointer, and work that misses its allocation by a page, die with a sentence; smaller
// misses change guard bytes behind the allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace regatta {

enum class MemoryKind { kPageable, kPinned, kDevice };

class EmulatedMemory {
 public:
  EmulatedMemory();

  void* allocate(std::size_t bytes);  // nullptr: more than the limit leaves
  bool free(void* address);           // false: not an allocation's begin
  void* allocate_pinned(std::size_t bytes);
  bool free_pinned(void* address);

  // Whether all of the bytes lie in one allocation of either kind; bytes in none are pageable.
  MemoryKind kind_of(const void* address) const;
  bool holds(const void* address, std::size_t bytes) const;

  // Aborts with the allocation's name if something was written behind one.
  void check_guards();

  void set_limit(std::size_t bytes) { limit_ = bytes; }
  std::size_t limit() const { return limit_; }
  std::size_t used() const { return used_; }
  std::size_t peak() const { return peak_; }
  std::string leaks() const;  // a line for each allocation that is left

  // What an address that must not be touched is: for the message of the signal handler.
  std::string describe(const void* address) const;

  // While one exists, device memory can be touched. They nest.
  class Access {
   public:
    explicit Access(EmulatedMemory& memory);
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;

   private:
    EmulatedMemory& memory_;
  };

 private:
  struct Block {
    std::size_t bytes = 0;
    std::size_t reserved_bytes = 0;  // whole pages
    int number = 0;                  // the how-manieth allocation of the program
    bool freed = false;
  };
  using Blocks = std::map<std::uintptr_t, Block>;

  static const Blocks::value_type* find(const Blocks& blocks, const void* address);
  static void write_guard(const Blocks::value_type& block);
  static void check_guard(const Blocks::value_type& block, const char* what);
  void protect(const Blocks::value_type& block, bool open) const;
  void open_all(bool open);

  std::uintptr_t arena_ = 0;
  std::size_t arena_used_ = 0;
  std::size_t limit_ = std::size_t{1} << 30;
  std::size_t used_ = 0;
  std::size_t peak_ = 0;
  int allocations_ = 0;
  int open_ = 0;
  Blocks device_;  // freed ones stay: their addresses are never used again
  Blocks pinned_;
};

EmulatedMemory& emulated_memory();

}  // namespace regatta
