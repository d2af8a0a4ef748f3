// Which engines cuDNN has for the graphs of attention on an H200, asked of the library itself against a
// description of the device: no GPU is needed, and nothing is run.
//
// REGATTA_AUDIT=all also asks for every size of a head over every number of positions, and prints what was
// chosen.
#include <cudnn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>
#include <vector>

#include "h200.h"
#include "models/cuda/fused_attention.h"

namespace regatta {
namespace {

constexpr std::int64_t kWorkspaceLimit = std::int64_t{4} << 30;

bool everything() {
  const char* const wanted = std::getenv("REGATTA_AUDIT");
  return wanted != nullptr && std::string_view(wanted) == "all";
}

// The benchmark's transformer (12 heads of 64 features over 1,024 positions), then sizes of heads and numbers
// of positions that neither fill a tile nor a register.
std::vector<AttentionShape> shapes() {
  std::vector<AttentionShape> all = {
      {.rows = 32, .positions = 1024, .heads = 12, .size = 64, .causal = true},
      {.rows = 32, .positions = 1024, .heads = 12, .size = 64},
      {.rows = 32, .positions = 1024, .lanes = 2, .heads = 12, .size = 64, .causal = true},
      {.rows = 4, .positions = 33, .lanes = 2, .heads = 3, .size = 40},
      {.rows = 4, .positions = 2, .heads = 2, .size = 8, .causal = true},
  };
  for (const std::int64_t size : {16, 64, 128, 256}) {
    for (const std::int64_t positions : {33, 100, 1024}) {
      for (const std::int64_t lanes : {1, 2}) {
        for (const bool causal : {false, true}) {
          const bool chosen = lanes == 1 && causal && (positions == 33 || size == 128);
          if (chosen || everything()) {
            all.push_back({.rows = 4,
                           .positions = positions,
                           .lanes = lanes,
                           .heads = 3,
                           .size = size,
                           .causal = causal});
          }
        }
      }
    }
  }
  return all;
}

void check_engine(const std::string& engine) {
  EXPECT_NE(engine.find("tensor cores"), std::string::npos) << engine;
  EXPECT_EQ(engine.find("not deterministic"), std::string::npos) << engine;
}

// Of dS in bf16, each side of which is rounded up to whole tiles. Without it dQ would be summed in the order
// in which blocks come.
std::int64_t score_gradient_bytes(const AttentionShape& shape) {
  const auto rounded_up = [&](std::int64_t tile) { return (shape.positions + tile - 1) / tile * tile; };
  return shape.rows * shape.heads * rounded_up(64) * rounded_up(128) * 2;
}

TEST(AttentionOnAnH200, HasAnEngineInBothDirectionsWhoseSumsHaveOneOrder) {
  if (cudnnGetVersion() < 91900) {
    GTEST_SKIP() << "what is expected was found with cuDNN 9.19; this is " << cudnnGetVersion();
  }
  const auto context = h200(kWorkspaceLimit);
  ASSERT_NE(context, nullptr);
  for (const AttentionShape& shape : shapes()) {
    SCOPED_TRACE(describe(shape));
    const auto planned = plan_fused_attention(*context, shape, true);
    ASSERT_TRUE(planned.ok()) << planned.error().message;
    const FusedAttentionPlan& plan = (*planned)->plan();
    check_engine(plan.forward);
    check_engine(plan.backward);
    EXPECT_LT(plan.forward_workspace_bytes, 1 << 20);
    EXPECT_GE(plan.backward_workspace_bytes, score_gradient_bytes(shape));
    EXPECT_LE(plan.backward_workspace_bytes, score_gradient_bytes(shape) + (1 << 20));
    if (everything()) {
      fmt::print("{}\n  forward   {}\n  backward  {}\n", describe(shape), plan.forward, plan.backward);
    }
  }
}

TEST(AttentionOnAnH200, IsPlannedForwardOnlyWhereThatIsAll) {
  const auto context = h200(kWorkspaceLimit);
  ASSERT_NE(context, nullptr);
  const auto planned =
      plan_fused_attention(*context, {.rows = 4, .positions = 33, .heads = 2, .size = 64}, false);
  ASSERT_TRUE(planned.ok()) << planned.error().message;
  EXPECT_EQ((*planned)->plan().backward, "");
  EXPECT_EQ((*planned)->plan().backward_workspace_bytes, 0);
}

TEST(AttentionOnAnH200, IsRefusedInASentenceWhereNoEngineDoesIt) {
  const auto context = h200(1 << 20);
  ASSERT_NE(context, nullptr);
  for (const std::int64_t size : {20, 264}) {
    const auto odd =
        plan_fused_attention(*context, {.rows = 4, .positions = 33, .heads = 2, .size = size}, true);
    ASSERT_FALSE(odd.ok());
    EXPECT_NE(odd.error().message.find("a multiple of 8 features, 256 at most"), std::string::npos)
        << odd.error().message;
  }
  const auto single =
      plan_fused_attention(*context, {.rows = 4, .positions = 1, .heads = 2, .size = 64}, true);
  ASSERT_FALSE(single.ok());
  EXPECT_NE(single.error().message.find("two positions"), std::string::npos) << single.error().message;
  const auto beyond =
      plan_fused_attention(*context, {.rows = 4, .positions = 192, .heads = 2, .size = 64}, true);
  ASSERT_FALSE(beyond.ok());
  EXPECT_NE(beyond.error().message.find("beyond the last position"), std::string::npos);
  const auto large =
      plan_fused_attention(*context, {.rows = 8, .positions = 1024, .heads = 2, .size = 64}, true);
  ASSERT_FALSE(large.ok());
  EXPECT_NE(large.error().message.find("more than the limit of 1048576 bytes"), std::string::npos)
      << large.error().message;
}

}  // namespace
}  // namespace regatta
