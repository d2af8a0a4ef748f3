// Buffers that live at the same time never overlap.
#include "models/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace regatta {
namespace {

TEST(MemoryPlan, BuffersOfDifferentMomentsShareMemory) {
  MemoryPlan plan;
  const auto first = plan.allocate(1000);
  plan.advance();
  const auto second = plan.allocate(1000);
  plan.arrange();
  EXPECT_EQ(plan.offset(first), plan.offset(second));
  EXPECT_EQ(plan.size(), 1024U);
}

TEST(MemoryPlan, UsingABufferKeepsItAlive) {
  MemoryPlan plan;
  const auto first = plan.allocate(64);
  plan.advance();
  const auto second = plan.allocate(64);
  plan.use(first);
  plan.arrange();
  EXPECT_NE(plan.offset(first), plan.offset(second));
  EXPECT_EQ(plan.size(), 128U);
}

TEST(MemoryPlan, AGrownBufferHasRoomForTheMostThatWasAskedFor) {
  MemoryPlan plan;
  const auto grown = plan.allocate(64);
  const auto other = plan.allocate(128);
  plan.grow(grown, 1000);
  plan.grow(grown, 100);
  plan.advance();
  const auto later = plan.allocate(64);  // when the other two are not needed any more
  plan.arrange();
  EXPECT_EQ(plan.offset(grown), 0U);
  EXPECT_EQ(plan.offset(other), 1024U);
  EXPECT_EQ(plan.offset(later), 0U);
  EXPECT_EQ(plan.size(), 1024U + 128U);
}

TEST(MemoryPlan, LivingBuffersNeverOverlap) {
  struct Buffer {
    MemoryPlan::Buffer id;
    std::size_t bytes;
    int first;
    int last;
  };
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    const Random random(seed, "memory plan");
    std::uint64_t draw = 0;
    MemoryPlan plan;
    std::vector<Buffer> buffers;
    for (int now = 0; now < 40; ++now, plan.advance()) {
      for (Buffer& buffer : buffers) {
        if (random.below(draw++, 8) == 0) {
          plan.use(buffer.id);
          buffer.last = now;
        }
      }
      const std::size_t bytes = 1 + random.below(draw++, 5000);
      buffers.push_back({plan.allocate(bytes), bytes, now, now});
    }
    plan.arrange();
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const Buffer& a = buffers[i];
      EXPECT_EQ(plan.offset(a.id) % MemoryPlan::kAlignment, 0U);
      EXPECT_LE(plan.offset(a.id) + a.bytes, plan.size());
      for (std::size_t j = 0; j < i; ++j) {
        const Buffer& b = buffers[j];
        const bool meet_in_time = a.first <= b.last && b.first <= a.last;
        const bool meet_in_memory = plan.offset(a.id) < plan.offset(b.id) + b.bytes &&
                                    plan.offset(b.id) < plan.offset(a.id) + a.bytes;
        EXPECT_FALSE(meet_in_time && meet_in_memory);
      }
    }
  }
}

}  // namespace
}  // namespace regatta
