// IDX, the format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist):
//   0x00 0x00 TYPE RANK, then RANK sizes as 4 big-endian bytes each, then the elements in row-major order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/dataset.h"

namespace regatta {

struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> elements;  // as many as the product of the sizes
};

// Reads an array of unsigned bytes. Errors name `file_name` and what is wrong with it.
Result<IdxArray> parse_idx(std::string_view bytes, const std::string& file_name);

struct IdxFiles {
  std::filesystem::path images;  // [count, height, width] or [count, channels, height, width]
  std::filesystem::path labels;  // [count]
};

// Images with their labels; either file may be gzipped. `classes` is how many there are: one more than the
// highest label if it is not given.
Result<Dataset> read_idx_dataset(const IdxFiles& files, std::optional<std::int64_t> classes = {});

}  // namespace regatta
