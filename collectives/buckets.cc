// Planning and reducing gradient buckets.
#include "collectives/buckets.h"

#include <algorithm>

#include "base/trace.h"

namespace regatta {

std::vector<Bucket> plan_buckets(std::size_t size, std::size_t bucket_bytes, std::size_t first_bytes) {
  const std::size_t bucket_floats = bucket_bytes / sizeof(float);
  CHECK(bucket_floats > 0, "a bucket must hold at least one float");
  const std::size_t first_floats = std::clamp<std::size_t>(first_bytes / sizeof(float), 1, bucket_floats);

  std::vector<Bucket> buckets;
  for (std::size_t begin = 0; begin < size;) {
    const std::size_t length = std::min(buckets.empty() ? first_floats : bucket_floats, size - begin);
    buckets.push_back({begin, begin + length});
    begin += length;
  }
  return buckets;
}

BucketReducer::BucketReducer(Communicator& communicator, std::span<float> gradients,
                             std::vector<Bucket> buckets, const CollectiveOptions& options)
    : communicator_(communicator), gradients_(gradients), buckets_(std::move(buckets)), options_(options) {
  std::size_t covered = 0;
  for (const Bucket& bucket : buckets_) {
    CHECK(bucket.begin == covered && bucket.end > bucket.begin, "buckets must follow one another");
    covered = bucket.end;
  }
  CHECK(covered == gradients_.size(), "the buckets must cover the gradient buffer");
}

Status BucketReducer::ready(std::size_t floats) {
  CHECK(floats <= gradients_.size());
  // next_ moves on first: a bucket whose reduction failed holds nothing that could be reduced again.
  while (next_ < buckets_.size() && buckets_[next_].end <= floats) {
    RETURN_IF_ERROR(reduce(buckets_[next_++]));
  }
  return {};
}

Status BucketReducer::reduce(const Bucket& bucket) {
  const std::span<float> data = gradients_.subspan(bucket.begin, bucket.end - bucket.begin);
  const TraceSpan span(use_ ? "bucket: sum and update" : "bucket: sum", data.size_bytes());
  if (!use_) {
    return communicator_.allreduce(data, options_);
  }
  return communicator_.sum_shares(
      data, [&](std::size_t begin, std::size_t end) { use_(bucket.begin + begin, bucket.begin + end); },
      options_);
}

Status BucketReducer::finish() {
  RETURN_IF_ERROR(ready(gradients_.size()));
  next_ = 0;
  return use_ ? communicator_.settle(options_) : Status();
}

}  // namespace regatta
