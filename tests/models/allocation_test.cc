// A training step allocates nothing on our side. Every operator new of the process is seen here; those that
// oneDNN itself calls, for the bookkeeping of an execution, are told apart by the library they come from.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "base/trace.h"
#include "support.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<int> allocations{0};

bool called_from_this_program(void* address) {
  Dl_info caller{};
  Dl_info here{};
  return dladdr(address, &caller) != 0 &&
         dladdr(reinterpret_cast<void*>(&called_from_this_program), &here) != 0 &&
         caller.dli_fbase == here.dli_fbase;
}

void* counted_or_null(std::size_t size, void* caller) {
  if (counting && called_from_this_program(caller)) {
    ++allocations;
  }
  return std::malloc(size > 0 ? size : 1);
}

void* counted(std::size_t size, void* caller) {
  if (void* block = counted_or_null(size, caller)) {
    return block;
  }
  throw std::bad_alloc();
}

}  // namespace

// Not inlined: the caller's address must be the caller's, and g++ would see new and free in one place.
#define REPLACED __attribute__((noinline))
REPLACED void* operator new(std::size_t size) { return counted(size, __builtin_return_address(0)); }
REPLACED void* operator new[](std::size_t size) { return counted(size, __builtin_return_address(0)); }
REPLACED void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted_or_null(size, __builtin_return_address(0));
}
REPLACED void operator delete(void* block) noexcept { std::free(block); }
REPLACED void operator delete[](void* block) noexcept { std::free(block); }
REPLACED void operator delete(void* block, std::size_t) noexcept { std::free(block); }
REPLACED void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
#undef REPLACED

namespace regatta {
namespace {

class CountingExchange final : public GradientExchange {
 public:
  Status ready(std::size_t) override { return {}; }
  Status finish() override { return {}; }
  Status sum(std::span<float>) override { return {}; }
};

void expect_steps_without_allocation(const LayerCase& layer_case, const std::string& precision = "fp32") {
  const ModelConfig config = model_of(
      layer_case,
      "{optimizer: adam, gradient_clip: 1, schedule: cosine, label_smoothing: 0.1, precision: " + precision +
          "}");
  const auto engine = cpu_engine(config, layer_case, 8, 2);
  engine->start_lane(0, lane_settings(config, 1));
  engine->start_lane(1, lane_settings(config, 2));
  auto sums = metric_sums(layer_case, 2);
  TestBatch batch = random_batch(layer_case, 8, 1);
  CountingExchange exchange;
  static const SystemClock clock;
  start_trace(clock, {.spans = 100});  // a timeline allocates nothing either
  const auto step = [&] { return engine->train(batch.view(), {.exchange = &exchange, .sums = sums}).ok(); };
  ASSERT_TRUE(step());
  allocations = 0;
  counting = true;
  bool ok = step();
  batch.count = 5;
  ok = step() && ok;
  ok = engine->evaluate(batch.view(), sums).ok() && ok;
  counting = false;
  EXPECT_TRUE(ok);
  EXPECT_EQ(allocations, 0);
}

const LayerCase& images() {
  static const LayerCase layer_case{
      "",
      "[conv: 5, batch_norm, relu, residual: [conv: {filters: 8, stride: 2}, batch_norm, "
      "relu], depthwise, residual: [conv: {filters: 8, groups: 2}], max_pool: 2, dropout: 0.3, global_pool: "
      "max, dense: 9, relu, dense: 3]",
      {1, 8, 8}};
  return layer_case;
}

TEST(Allocation, ATrainingStepAllocatesNothing) { expect_steps_without_allocation(images()); }

TEST(Allocation, NorDoesOneInBf16) {
  if (!has_bf16()) {
    GTEST_SKIP() << "this processor has no avx512_bf16";
  }
  expect_steps_without_allocation(images(), "bf16");
}

TEST(Allocation, NorDoesOneOverSequences) {
  expect_steps_without_allocation({"",
                                   "[embedding: {vocabulary: 9, units: 8}, position_embedding, residual: "
                                   "[layer_norm, attention: {heads: 2, "
                                   "causal: true}], residual: [layer_norm, dense: 12, gelu, dense: 8], "
                                   "conv1d: {filters: 8, causal: true}, "
                                   "tanh, lstm: 6, dropout: 0.2, gru: 5, dense: 9]",
                                   {6},
                                   9,
                                   true,
                                   6,
                                   9});
}

TEST(Allocation, TheCountWouldSeeOne) {
  allocations = 0;
  counting = true;
  ::operator delete(::operator new(8));  // the compiler may not leave these calls out
  counting = false;
  EXPECT_GE(allocations, 1);
}

}  // namespace
}  // namespace regatta
