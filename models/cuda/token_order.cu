// A counting sort that keeps the order of equal tokens. The places are cut into chunks; a token's rank is how
// many equal ones precede it in its chunk, and where it goes follows from the counts of the tokens below it,
// of its equals in earlier chunks, and from its rank.
#include <limits>

#include "base/check.h"
#include "models/cuda/device.h"
#include "models/cuda/launch.h"
#include "models/cuda/token_order.h"
#include "models/cuda/tokens_device.h"

namespace regatta::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kChunk = 16 * kThreads;
constexpr int kScanThreads = 1024;

// The counts are whole numbers, so it does not matter in which order they are added to.
__global__ void rank_tokens(Tokens tokens, std::int32_t* __restrict__ counts,
                            std::int32_t* __restrict__ ranks) {
  __shared__ std::int32_t tile[kThreads];
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kThreads;
  const std::int64_t place = first + threadIdx.x;
  const std::int32_t token = place < tokens.count ? token_at(tokens, place) : kNoToken;
  const std::int64_t chunk = first / kChunk;
  std::int32_t rank = 0;
  for (std::int64_t begin = chunk * kChunk; begin <= first; begin += kThreads) {
    __syncthreads();  // the tile before has been read
    const std::int64_t other = begin + threadIdx.x;
    tile[threadIdx.x] = other < tokens.count ? token_at(tokens, other) : kNoToken;
    __syncthreads();
    const int preceding = begin < first ? kThreads : static_cast<int>(threadIdx.x);
    for (int i = 0; i < preceding; ++i) {
      rank += tile[i] == token ? 1 : 0;
    }
  }
  if (token != kNoToken) {
    ranks[place] = rank;
    atomicAdd(counts + chunk * tokens.vocabulary + token, 1);
  }
}

// Each chunk's counts become those of the chunks before it; totals[v] is of all.
__global__ void sum_chunks(std::int64_t chunks, std::int64_t vocabulary, std::int32_t* __restrict__ counts,
                           std::int32_t* __restrict__ totals) {
  each_element(vocabulary, [&](std::int64_t token) {
    std::int32_t before = 0;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      std::int32_t& count = counts[chunk * vocabulary + token];
      const std::int32_t own = count;
      count = before;
      before += own;
    }
    totals[token] = before;
  });
}

// Totals become starts: each the sum of the totals before it, and one more behind the last. One block.
__global__ void sum_totals(std::int64_t vocabulary, std::int32_t* __restrict__ totals) {
  __shared__ std::int32_t sums[kScanThreads];
  const std::int64_t each = (vocabulary + kScanThreads - 1) / kScanThreads;
  const std::int64_t begin = min(threadIdx.x * each, vocabulary);
  const std::int64_t end = min(begin + each, vocabulary);
  std::int32_t own = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    own += totals[i];
  }
  sums[threadIdx.x] = own;
  __syncthreads();
  for (unsigned distance = 1; distance < kScanThreads; distance *= 2) {
    const std::int32_t before = threadIdx.x >= distance ? sums[threadIdx.x - distance] : 0;
    __syncthreads();
    sums[threadIdx.x] += before;
    __syncthreads();
  }
  std::int32_t start = sums[threadIdx.x] - own;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int32_t total = totals[i];
    totals[i] = start;
    start += total;
  }
  if (threadIdx.x == kScanThreads - 1) {
    totals[vocabulary] = sums[threadIdx.x];
  }
}

__global__ void place_tokens(Tokens tokens, const std::int32_t* __restrict__ counts,
                             const std::int32_t* __restrict__ ranks, const std::int32_t* __restrict__ starts,
                             std::int32_t* __restrict__ sorted) {
  each_element(tokens.count, [&](std::int64_t place) {
    const std::int32_t token = token_at(tokens, place);
    if (token != kNoToken) {
      const std::int32_t earlier = counts[place / kChunk * tokens.vocabulary + token];
      sorted[starts[token] + earlier + ranks[place]] = static_cast<std::int32_t>(place);
    }
  });
}

}  // namespace

TokenOrder::TokenOrder(Planner& planner, std::int64_t count, std::int64_t vocabulary)
    : count_(count), vocabulary_(vocabulary), chunks_((count + kChunk - 1) / kChunk) {
  CHECK(count < std::numeric_limits<std::int32_t>::max() &&
        vocabulary < std::numeric_limits<std::int32_t>::max());
  const auto numbers = [&](std::int64_t size) {
    return planner.workspace(size * static_cast<std::int64_t>(sizeof(std::int32_t)));
  };
  counts_ = planner.allocate_counters(chunks_ * vocabulary);
  ranks_ = numbers(count);
  starts_ = numbers(vocabulary + 1);
  sorted_ = numbers(count);
}

void TokenOrder::use_to_the_end(Planner& planner) const {
  for (const Tensor* tensor : {&ranks_, &starts_, &sorted_}) {
    planner.use_to_the_end(*tensor);
  }
}

void TokenOrder::enqueue(const Step& step, const Tokens& tokens) const {
  CHECK(tokens.count == count_ && tokens.vocabulary == vocabulary_);
  std::int32_t* const counts = this->counts(step).data;
  auto* const ranks = step.data<std::int32_t>(ranks_);
  auto* const starts = step.data<std::int32_t>(starts_);
  launch(rank_tokens, one_thread_each(count_, kThreads), step.stream, tokens, counts, ranks);
  launch(sum_chunks, one_thread_each(vocabulary_), step.stream, chunks_, vocabulary_, counts, starts);
  launch(sum_totals, LaunchShape{.grid = dim3(1), .block = dim3(kScanThreads)}, step.stream, vocabulary_,
         starts);
  launch(place_tokens, one_thread_each(count_), step.stream, tokens, counts, ranks, starts,
         step.data<std::int32_t>(sorted_));
}

}  // namespace regatta::cuda
