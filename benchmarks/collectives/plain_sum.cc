// A window of its own, and one loop that each rank runs over its slice.
#include "plain_sum.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/multiversion.h"

namespace regatta {
namespace {

constexpr std::size_t kLine = 32;  // floats: two lines of the cache at a time

REGATTA_MULTIVERSION
void sum_pair(float* __restrict first, float* __restrict second, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float sum = first[i] + second[i];
    first[i] = sum;
    second[i] = sum;
  }
}

REGATTA_MULTIVERSION
void sum_lines(float* const* buffers, std::size_t ranks, std::size_t begin, std::size_t end) {
  std::array<float, kLine> sum;
  for (std::size_t line = begin; line < end; line += kLine) {
    const std::size_t length = std::min(kLine, end - line);
    std::memcpy(sum.data(), buffers[0] + line, length * sizeof(float));
    for (std::size_t rank = 1; rank < ranks; ++rank) {
      for (std::size_t i = 0; i < length; ++i) {
        sum[i] += buffers[rank][line + i];
      }
    }
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      std::memcpy(buffers[rank] + line, sum.data(), length * sizeof(float));
    }
  }
}

}  // namespace

Result<PlainSum> PlainSum::make(std::size_t count) {
  PlainSum made;
  ASSIGN_OR_RETURN(made.window_, SharedWindow::make(MPI_COMM_WORLD, count * sizeof(float)));
  made.count_ = count;
  int rank = 0;
  int ranks = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  for (int peer = 0; peer < ranks; ++peer) {
    made.buffers_.push_back(reinterpret_cast<float*>(made.window_->segment(peer)));
  }
  const std::size_t lines = (count + kLine - 1) / kLine;
  const auto cut = [&](int r) {
    return std::min(count, lines * static_cast<std::size_t>(r) / static_cast<std::size_t>(ranks) * kLine);
  };
  made.begin_ = cut(rank);
  made.end_ = cut(rank + 1);
  return made;
}

void PlainSum::operator()() const {
  if (buffers_.size() == 2) {
    sum_pair(buffers_[0] + begin_, buffers_[1] + begin_, end_ - begin_);
  } else {
    sum_lines(buffers_.data(), buffers_.size(), begin_, end_);
  }
}

}  // namespace regatta
