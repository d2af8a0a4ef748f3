// The emulated CUDA device: its kernels compute what a device computes, and the mistakes that a device
// answers with wrong results, hangs and crashes show.
#include <cuda_bf16.h>
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "emulated_cuda/device_arrays.h"
#include "emulated_cuda/emulator.h"
#include "emulated_cuda/example_kernels.h"

namespace regatta {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

std::vector<float> numbers(int count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

// Σ of the numbers of each 256, exact in floats.
std::vector<float> sums_of_blocks(const std::vector<float>& values) {
  std::vector<float> sums((values.size() + 255) / 256);
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[i / 256] += values[i];
  }
  return sums;
}

class EmulatedOrders : public ::testing::TestWithParam<EmulatedOrder> {
 protected:
  EmulatedOrders() { set_emulated_order(GetParam(), 7); }
  ~EmulatedOrders() override { set_emulated_order(EmulatedOrder::kForward); }
};

TEST_P(EmulatedOrders, BlocksSumTheirValuesAlikeByShufflesSharedMemoryAndAtomics) {
  const std::vector<float> values = numbers(1000);
  const DeviceArray<float> input(values);
  const std::vector<float> expected = sums_of_blocks(values);
  for (const auto start : {start_sum_by_shuffles, start_sum_in_dynamic_shared, start_sum_by_atomics}) {
    const DeviceArray<float> sums(std::vector<float>(expected.size()));
    const DeviceStream stream;
    start(input.get(), sums.get(), 1000, stream);
    stream.finish();
    EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
    EXPECT_EQ(sums.read(), expected);
  }
}

TEST_P(EmulatedOrders, ThreadsVoteAtBarriersAndInWarpsThatAreNotFull) {
  const DeviceArray<int> results(4 * 40);
  start_votes(results.get(), 40, nullptr);
  const std::vector<int> read = results.read();
  for (int thread = 0; thread < 40; ++thread) {
    EXPECT_EQ(read[4 * thread], 14);
    EXPECT_EQ(read[4 * thread + 1], 0);
    EXPECT_EQ(read[4 * thread + 2], 1);
    EXPECT_EQ(static_cast<unsigned>(read[4 * thread + 3]), thread < 32 ? 0x49249249U : 0x92U) << thread;
  }
}

TEST_P(EmulatedOrders, LanesTakeTheirNeighboursValuesWithinTheirSegment) {
  const DeviceArray<double> next(32);
  const DeviceArray<double> below(32);
  const DeviceArray<double> paired(32);
  start_neighbours(next.get(), below.get(), paired.get(), nullptr);
  for (int lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(next.read()[lane], 0.5 + std::min(lane + 1, 31));
    EXPECT_EQ(below.read()[lane], 0.5 + (lane % 16 == 0 ? lane : lane - 1));
    EXPECT_EQ(paired.read()[lane], 0.5 + (lane ^ 1));
  }
}

TEST_P(EmulatedOrders, BlocksKnowTheirPlaceInAGridOfThreeDimensions) {
  const DeviceArray<int> results(24);
  start_coordinates(results.get(), nullptr);
  EXPECT_THAT(results.read(), ElementsAre(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 100, 101, 102, 103, 110,
                                          111, 112, 113, 120, 121, 122, 123));
}

TEST_P(EmulatedOrders, AForgottenBarrierGivesWrongValues) {
  const DeviceArray<float> reversed(256);
  start_forgotten_barrier(reversed.get(), nullptr);
  EXPECT_THAT(reversed.read(), testing::Contains(-1.0F));
}

INSTANTIATE_TEST_SUITE_P(EveryOrder, EmulatedOrders,
                         ::testing::Values(EmulatedOrder::kForward, EmulatedOrder::kReversed,
                                           EmulatedOrder::kRandom));

TEST(EmulatedMemoryTest, FreshDeviceMemoryHoldsNaN) {
  const DeviceArray<float> values(300);
  EXPECT_THAT(values.read(), Each(testing::IsNan()));
}

TEST(EmulatedMemoryTest, AllocationsBeyondTheLimitFailAndLeaveTheDeviceUsable) {
  set_emulated_memory_limit(1 << 20);
  void* big = nullptr;
  EXPECT_EQ(cudaMalloc(&big, (1 << 20) + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&big, 1 << 19), cudaSuccess);
  std::size_t free = 0;
  std::size_t total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(total, 1U << 20);
  EXPECT_EQ(free, 1U << 19);
  EXPECT_EQ(cudaFree(big), cudaSuccess);
  EXPECT_EQ(emulated_memory_used(), 0U);
  set_emulated_memory_limit(1 << 30);
}

TEST(EmulatedMemoryTest, CopiesThatLeaveTheirAllocationAreRefused) {
  const DeviceArray<float> values(4);
  std::vector<float> host(8);
  EXPECT_EQ(cudaMemcpy(host.data(), values.get(), 20, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), values.get(), 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(values.get() + 1, 0, 16), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

TEST(EmulatedMemoryTest, CopiesOfRowsKeepWhatLiesBetweenThem) {
  const DeviceArray<float> values(std::vector<float>{0, 0, 9, 0, 0, 9});
  const std::vector<float> rows = {1, 2, 3, 4};
  EXPECT_EQ(cudaMemcpy2D(values.get(), 12, rows.data(), 8, 8, 2, cudaMemcpyHostToDevice), cudaSuccess);
  EXPECT_THAT(values.read(), ElementsAre(1, 2, 9, 3, 4, 9));
}

TEST(EmulatedMemoryDeathTest, WritesBehindTheEndAreFound) {
  EXPECT_DEATH(
      {
        const DeviceArray<float> values(10);
        start_fill(values.get(), 1.0F, 11, nullptr);
        cudaDeviceSynchronize();
      },
      "something wrote 0 bytes behind the end of device allocation 1 of 40 bytes");
}

TEST(EmulatedMemoryDeathTest, WritesFarFromTheAllocationNameTheKernel) {
  EXPECT_DEATH(
      {
        const DeviceArray<float> values(10);
        start_fill(values.get() - 1, 1.0F, 1, nullptr);
        cudaDeviceSynchronize();
      },
      "kernel fill touches 4 bytes before device allocation 1 of 40 bytes");
}

TEST(EmulatedMemoryDeathTest, UseAfterFreeIsFound) {
  EXPECT_DEATH(
      {
        float* values = nullptr;
        cudaMalloc(reinterpret_cast<void**>(&values), 40);
        cudaFree(values);
        start_fill(values, 1.0F, 10, nullptr);
        cudaDeviceSynchronize();
      },
      "kernel fill touches byte 0 of the freed device allocation 1");
}

TEST(EmulatedMemoryDeathTest, TheHostMustNotReadDeviceMemory) {
  EXPECT_DEATH(
      {
        const DeviceArray<float> values(std::vector<float>{1, 2});
        const volatile float* const read = values.get() + 1;
        std::exit(*read > 0 ? 0 : 1);
      },
      "the host touches byte 4 of device allocation 1 of 8 bytes");
}

TEST(EmulatedMemoryDeathTest, KernelsMustNotGetPageableMemory) {
  std::vector<float> host(10);
  EXPECT_DEATH(start_fill(host.data(), 1.0F, 10, nullptr), "kernel fill is given .*, which is neither");
}

TEST(EmulatedMemoryDeathTest, LeaksEndTheProgramWithAnError) {
  EXPECT_EXIT(
      {
        void* leaked = nullptr;
        cudaMalloc(&leaked, 123);
        std::exit(0);
      },
      ::testing::ExitedWithCode(1), "device allocation 1 of 123 bytes was never freed");
}

TEST(EmulatedKernelDeathTest, DifferentBarriersInOneBlockAreNamed) {
  EXPECT_DEATH(
      {
        start_different_barriers(nullptr);
        cudaDeviceSynchronize();
      },
      "kernel wait_at_different_barriers, block \\(0, 0, 0\\): threads of one block wait at different "
      "barriers");
}

TEST(EmulatedKernelDeathTest, AWarpThatLacksALaneIsNamedInsteadOfHanging) {
  EXPECT_DEATH(
      {
        start_missing_lane(nullptr);
        cudaDeviceSynchronize();
      },
      "kernel miss_a_lane, .*wait for each other for ever.*in a warp operation at example_kernels.cu:");
}

TEST(EmulatedKernelDeathTest, WritesBehindDynamicSharedMemoryAreFound) {
  EXPECT_DEATH(
      {
        start_writing_shared_beyond(nullptr);
        cudaDeviceSynchronize();
      },
      "kernel write_shared_beyond, .*wrote beyond its 64 bytes of dynamic shared memory");
}

TEST(EmulatedKernelTest, LaunchesThatADeviceRefusesLeaveTheirError) {
  start_with_threads(1025, nullptr);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  start_with_shared_bytes(49153, false, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  start_with_shared_bytes(200 << 10, true, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  start_with_shared_bytes(228 << 10, true, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

}  // namespace
}  // namespace regatta
