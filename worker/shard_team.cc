// A sum of n parts, n = 2^k: neighbours first, then pairs of pairs. Which rank holds which parts does not
// change who is added to whom.
#include "worker/shard_team.h"

#include <algorithm>
#include <bit>

namespace regatta {
namespace {

constexpr std::size_t kGatherFloats = std::size_t{1} << 20;  // from each rank at once

// Elements [begin, end) of the parts' sum, into the first part.
template <class T>
void add_up(std::span<const std::span<T>> parts, std::size_t begin, std::size_t end) {
  for (std::size_t stride = 1; stride < parts.size(); stride *= 2) {
    for (std::size_t left = 0; left < parts.size(); left += 2 * stride) {
      T* __restrict const sum = parts[left].data();
      const T* __restrict const other = parts[left + stride].data();
#pragma omp simd
      for (std::size_t i = begin; i < end; ++i) {
        sum[i] += other[i];
      }
    }
  }
}

// `mine` becomes the sum over the ranks, the upper levels of the tree.
template <class T>
Status add_up_over_ranks(Communicator& communicator, std::span<T> mine, std::vector<T>& gathered) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  if (ranks == 1) {
    return {};
  }
  for (std::size_t done = 0; done < mine.size(); done += kGatherFloats) {
    const std::span<T> piece = mine.subspan(done, std::min(kGatherFloats, mine.size() - done));
    gathered.resize(std::max(gathered.size(), ranks * piece.size()));
    const std::span<T> all = std::span(gathered).first(ranks * piece.size());
    RETURN_IF_ERROR(communicator.allgather(std::as_bytes(piece), std::as_writable_bytes(all)));
    std::vector<std::span<T>> parts;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      parts.push_back(all.subspan(rank * piece.size(), piece.size()));
    }
    add_up<T>(parts, 0, piece.size());
    std::ranges::copy(parts.front(), piece.begin());
  }
  return {};
}

}  // namespace

ShardTeam::ShardTeam(Communicator& communicator, int members)
    : communicator_(communicator),
      offered_(static_cast<std::size_t>(members)),
      results_(offered_.size()),
      start_(members),
      meeting_(members),
      end_(members) {
  CHECK(std::has_single_bit(offered_.size()) &&
        std::has_single_bit(static_cast<std::size_t>(communicator.size())));
  for (int member = 1; member < members; ++member) {
    threads_.emplace_back([this, member] { serve(member); });
  }
}

ShardTeam::~ShardTeam() {
  work_ = nullptr;
  start_.arrive_and_wait();
}

void ShardTeam::serve(int member) {
  while (true) {
    start_.arrive_and_wait();
    if (work_ == nullptr) {
      return;
    }
    results_[static_cast<std::size_t>(member)] = do_work(member);
    end_.arrive_and_wait();
  }
}

Status ShardTeam::run(const std::function<Status(int)>& work) {
  if (broken_) {
    return failure("a shard has failed before");
  }
  work_ = &work;
  start_.arrive_and_wait();
  results_.front() = do_work(0);
  end_.arrive_and_wait();
  for (const Status& result : results_) {
    RETURN_IF_ERROR(result);
  }
  return {};
}

// One that fails must not be waited for where the others meet. That holds for each: others may have failed by
// themselves before they learned of the first.
Status ShardTeam::do_work(int member) {
  Status done = (*work_)(member);
  if (!done.ok()) {
    broken_ = true;
    meeting_.arrive_and_drop();
  }
  return done;
}

Status ShardTeam::meet() {
  meeting_.arrive_and_wait();
  return broken_ ? Status(failure("another shard of this rank has failed")) : Status();
}

Status ShardTeam::sum(int member, std::span<float> values) {
  const auto index = static_cast<std::size_t>(member);
  offered_[index] = values;
  RETURN_IF_ERROR(meet());
  const std::size_t begin = values.size() * index / offered_.size();
  const std::size_t end = values.size() * (index + 1) / offered_.size();
  add_up<float>(offered_, begin, end);
  RETURN_IF_ERROR(meet());
  if (member == 0) {
    exchanged_ = add_up_over_ranks<float>(communicator_, values, gathered_);
  }
  RETURN_IF_ERROR(meet());
  RETURN_IF_ERROR(exchanged_);
  if (member != 0) {
    std::ranges::copy(offered_.front(), values.begin());
  }
  return meet();  // the first member's values are free to change
}

Status ShardTeam::sum(std::span<const std::span<double>> parts) {
  add_up<double>(parts, 0, parts.front().size());
  return add_up_over_ranks<double>(communicator_, parts.front(), gathered_sums_);
}

}  // namespace regatta
