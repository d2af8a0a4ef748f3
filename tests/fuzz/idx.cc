// IDX: an array that was accepted is the file, byte for byte.
#include "data/idx.h"

#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

constexpr const char* kFile = "fuzz.idx";

std::string written(const std::vector<std::int64_t>& sizes, std::string_view elements) {
  std::string bytes{'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const std::int64_t size : sizes) {
    for (const int shift : {24, 16, 8, 0}) {
      bytes += static_cast<char>(size >> shift & 0xFF);
    }
  }
  return bytes.append(elements);
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  constexpr std::int64_t kLargest = 0xFFFFFFFF;
  return {
      "",
      written({3}, "\x01\x02\x03"),
      written({2, 2, 3}, "abcdefghijkl"),
      written({1, 2, 2, 2}, "abcdefgh"),
      written({0, 28, 28}, ""),
      written({kLargest, kLargest, kLargest, kLargest}, "a"),
      written({0, kLargest, kLargest, kLargest}, ""),
      written({65536, 65536, 65536, 65536}, ""),
      written({4}, "abc"),
      std::string("\0\0\x0D\x01\0\0\0\x01"
                  "abcd",
                  12),
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string_view bytes = fuzz::text_of(data, size);
  const auto array = parse_idx(bytes, kFile);
  if (!array.ok()) {
    fuzz::check_place(array.error(), kFile, "");
    return 0;
  }
  CHECK(written(array->sizes, fuzz::text_of(array->elements.data(), array->elements.size())) == bytes);
  return 0;
}
