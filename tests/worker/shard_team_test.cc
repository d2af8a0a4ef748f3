// Shards that fail by themselves: nobody waits for them.
#include "worker/shard_team.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace regatta {
namespace {

TEST(ShardTeam, NobodyWaitsForShardsThatFail) {
  const auto alone = make_single_communicator();
  ShardTeam team(*alone, 4);
  std::array<float, 4> values{};
  const Status status = team.run([&](int member) -> Status {
    if (member == 1 || member == 2) {
      return failure("out of luck");
    }
    return team.sum(member, {&values[static_cast<std::size_t>(member)], 1});
  });
  ASSERT_FALSE(status.ok());
  EXPECT_FALSE(team.run([](int) { return Status(); }).ok()) << "the gradients may be half summed";
}

TEST(ShardTeam, SumsAlongATree) {
  const auto alone = make_single_communicator();
  ShardTeam team(*alone, 4);
  std::array<float, 4> values{1e8F, 1, -1e8F, 1};  // (1e8 + 1) + (-1e8 + 1) = 0 in floats
  const Status status = team.run([&](int member) {
    return team.sum(member, {&values[static_cast<std::size_t>(member)], 1});
  });
  ASSERT_TRUE(status.ok());
  EXPECT_THAT(values, testing::Each((1e8F + 1) + (-1e8F + 1)));
}

}  // namespace
}  // namespace regatta
