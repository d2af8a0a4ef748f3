// Inside collectives/ only: huge pages for memory that processes share. The system gives them to no one who
// does not ask, and asking needs memory that begins where a huge page could.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace regatta {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

// The same shared memory, seen a second time where its pages can be huge.
class AlignedView {
 public:
  // `memory` within one shared mapping. nullopt where the system refuses.
  static std::optional<AlignedView> of(std::span<std::byte> memory);
  ~AlignedView();
  AlignedView(AlignedView&& other) noexcept
      : mapping_(std::exchange(other.mapping_, {})), data_(std::exchange(other.data_, nullptr)) {}
  AlignedView& operator=(AlignedView&& other) noexcept {
    std::swap(mapping_, other.mapping_);
    std::swap(data_, other.data_);
    return *this;
  }

  std::byte* data() const { return data_; }

 private:
  AlignedView(std::span<std::byte> mapping, std::byte* data) : mapping_(mapping), data_(data) {}

  std::span<std::byte> mapping_;
  std::byte* data_;
};

// For all huge pages that lie within `memory`, which has been written to. Where the system has none to give,
// or is too old to be asked, the memory stays as it is.
void ask_for_huge_pages(std::span<std::byte> memory);

}  // namespace regatta
