// Buckets: what is reduced when, seen by a communicator that only takes notes.
#include "collectives/buckets.h"

#include <gmock/gmock.h>

#include <numeric>

namespace regatta {
namespace {

bool operator==(const Bucket& a, const Bucket& b) { return a.begin == b.begin && a.end == b.end; }

// Doubles what it is given, as a crew of two equal ranks would.
class RecordingCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  Status allreduce(std::span<float> data, const CollectiveOptions&) override {
    if (fails) {
      return timed_out("the peer is gone");
    }
    lengths.push_back(data.size());
    for (float& value : data) {
      value *= 2;
    }
    return {};
  }
  Status allreduce(std::span<double>, const CollectiveOptions&) override { return {}; }
  Status broadcast(std::span<std::byte>, int, const CollectiveOptions&) override { return {}; }
  Status allgather(std::span<const std::byte>, std::span<std::byte>, const CollectiveOptions&) override {
    return {};
  }
  Status reduce_scatter(std::span<const float>, std::span<float>, const CollectiveOptions&) override {
    return {};
  }
  Status barrier(const CollectiveOptions&) override { return {}; }

  std::vector<std::size_t> lengths;
  bool fails = false;
};

TEST(PlanBuckets, CoverTheBufferWithASmallFirstBucket) {
  const auto buckets = plan_buckets(25, 10 * sizeof(float), 4 * sizeof(float));
  ASSERT_EQ(buckets.size(), 4U);
  EXPECT_TRUE(buckets[0] == (Bucket{0, 4}));
  EXPECT_TRUE(buckets[1] == (Bucket{4, 14}));
  EXPECT_TRUE(buckets[2] == (Bucket{14, 24}));
  EXPECT_TRUE(buckets[3] == (Bucket{24, 25}));
}

TEST(PlanBuckets, AreNoLargerThanAskedAndNeverEmpty) {
  EXPECT_TRUE(plan_buckets(0, 64, 64).empty());
  EXPECT_EQ(plan_buckets(3, 1 << 20, 1 << 20).size(), 1U);
  EXPECT_EQ(plan_buckets(3, sizeof(float), 0).size(), 3U);
  // A first bucket is never larger than the others.
  EXPECT_EQ(plan_buckets(8, 4 * sizeof(float), 100 * sizeof(float)).front().end, 4U);
}

TEST(BucketReducer, SumsEachBucketOnceAsSoonAsItIsComplete) {
  RecordingCommunicator communicator;
  std::vector<float> gradients(10);
  std::iota(gradients.begin(), gradients.end(), 0.0F);
  BucketReducer reducer(communicator, gradients, plan_buckets(10, 4 * sizeof(float), 2 * sizeof(float)));

  ASSERT_TRUE(reducer.ready(1).ok());
  EXPECT_THAT(communicator.lengths, testing::IsEmpty());
  ASSERT_TRUE(reducer.ready(7).ok());
  EXPECT_THAT(communicator.lengths, testing::ElementsAre(2, 4));
  ASSERT_TRUE(reducer.ready(7).ok());
  ASSERT_TRUE(reducer.finish().ok());
  EXPECT_THAT(communicator.lengths, testing::ElementsAre(2, 4, 4));
  EXPECT_THAT(gradients, testing::ElementsAre(0, 2, 4, 6, 8, 10, 12, 14, 16, 18));

  ASSERT_TRUE(reducer.finish().ok());  // the next step starts from the front again
  EXPECT_THAT(communicator.lengths, testing::ElementsAre(2, 4, 4, 2, 4, 4));
}

TEST(BucketReducer, PassesOnTheCommunicatorsError) {
  RecordingCommunicator communicator;
  communicator.fails = true;
  std::vector<float> gradients(4);
  BucketReducer reducer(communicator, gradients, plan_buckets(4, 64, 64));
  const Status status = reducer.finish();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, Error::Kind::timeout);
}

TEST(BucketReducerDeathTest, RefusesBucketsThatLeaveAGap) {
  RecordingCommunicator communicator;
  std::vector<float> gradients(4);
  EXPECT_DEATH(BucketReducer(communicator, gradients, {{0, 1}, {2, 4}}), "follow one another");
  EXPECT_DEATH(BucketReducer(communicator, gradients, {{0, 3}}), "cover the gradient buffer");
}

}  // namespace
}  // namespace regatta
