// Rows in blocks: what stands between two steps of the work on a block stays in the cache, and needs memory
// for a block instead of all rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace regatta {

struct RowBlock {
  std::int64_t begin = 0;
  std::int64_t rows = 0;
};

// As many rows a block as kBlockBytes hold, at least one. Only the last block may be smaller. The number of
// threads does not matter, so that results do not depend on it.
inline std::int64_t rows_of_block(std::int64_t rows, std::int64_t bytes_of_row) {
  constexpr std::int64_t kBlockBytes = std::int64_t{1} << 20;
  return std::clamp<std::int64_t>(kBlockBytes / bytes_of_row, 1, rows);
}

inline std::vector<RowBlock> blocks_of(std::int64_t rows, std::int64_t rows_of_block) {
  std::vector<RowBlock> blocks;
  for (std::int64_t begin = 0; begin < rows; begin += rows_of_block) {
    blocks.push_back({.begin = begin, .rows = std::min(rows_of_block, rows - begin)});
  }
  return blocks;
}

}  // namespace regatta
