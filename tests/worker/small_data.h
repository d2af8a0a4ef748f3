// Small data sets for tests, written as the files that users have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/random.h"

namespace regatta {

inline std::string big_endian(std::uint32_t number) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) {
    bytes += static_cast<char>(number >> shift & 0xff);
  }
  return bytes;
}

// Grey images of three classes, each with its own bright row, under noise: the four usual IDX files.
inline void write_small_images(const std::filesystem::path& folder, std::uint32_t count = 240,
                               std::uint32_t side = 8) {
  const Random random(5, "images");
  for (const std::string part : {"train", "t10k"}) {
    const Random numbers = random.substream(part.size());
    std::string images = big_endian(0x803) + big_endian(count) + big_endian(side) + big_endian(side);
    std::string labels = big_endian(0x801) + big_endian(count);
    for (std::uint32_t image = 0; image < count; ++image) {
      const std::uint32_t label = image % 3;
      labels += static_cast<char>(label);
      for (std::uint32_t pixel = 0; pixel < side * side; ++pixel) {
        const double noise = numbers.uniform(std::uint64_t{image} * side * side + pixel);
        images += static_cast<char>(160 * noise + (pixel / side == 2 * label ? 60 : 0));
      }
    }
    CHECK(write_file_atomically(folder / (part + "-images-idx3-ubyte"), images).ok());
    CHECK(write_file_atomically(folder / (part + "-labels-idx1-ubyte"), labels).ok());
  }
}

}  // namespace regatta
