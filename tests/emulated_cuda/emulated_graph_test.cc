// Streams, events and graphs of the emulated CUDA device: what is not waited for has not happened.
#include <gmock/gmock.h>

#include "emulated_cuda/device_arrays.h"
#include "emulated_cuda/emulator.h"
#include "emulated_cuda/example_kernels.h"

namespace regatta {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsNan;

class PinnedArray {
 public:
  explicit PinnedArray(std::size_t size) {
    EXPECT_EQ(cudaHostAlloc(reinterpret_cast<void**>(&values_), size * sizeof(float), cudaHostAllocMapped),
              cudaSuccess);
  }
  ~PinnedArray() { EXPECT_EQ(cudaFreeHost(values_), cudaSuccess); }
  PinnedArray(const PinnedArray&) = delete;
  PinnedArray& operator=(const PinnedArray&) = delete;
  float* get() const { return values_; }

 private:
  float* values_ = nullptr;
};

TEST(EmulatedStreamTest, AResultThatIsReadTooEarlyIsNotThereYet) {
  const DeviceArray<float> values(4);
  const DeviceStream stream;
  start_fill(values.get(), 1.0F, 4, stream);
  EXPECT_THAT(values.read(), Each(IsNan()));  // a blocking copy does not wait for a non-blocking stream
  stream.finish();
  EXPECT_THAT(values.read(), Each(1.0F));
}

TEST(EmulatedStreamTest, ACopyIntoPinnedMemoryIsThereOnlyAfterItsEvent) {
  const DeviceArray<float> values(std::vector<float>{3});
  const PinnedArray host(1);
  const DeviceStream stream;
  const DeviceEvent copied;
  EXPECT_EQ(cudaMemcpyAsync(host.get(), values.get(), 4, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(copied, stream), cudaSuccess);
  EXPECT_THAT(host.get()[0], IsNan());
  EXPECT_EQ(cudaEventQuery(copied), cudaErrorNotReady);  // one step further each time
  EXPECT_EQ(cudaEventQuery(copied), cudaSuccess);
  EXPECT_EQ(host.get()[0], 3);
}

TEST(EmulatedStreamTest, PinnedMemoryReusedTooSoonSpoilsItsCopyAndPageableMemoryDoesNot) {
  const DeviceArray<float> values(2);
  const PinnedArray pinned(1);
  float pageable = 1;
  pinned.get()[0] = 1;
  const DeviceStream stream;
  EXPECT_EQ(cudaMemcpyAsync(values.get(), pinned.get(), 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(values.get() + 1, &pageable, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  pinned.get()[0] = 2;
  pageable = 2;
  stream.finish();
  EXPECT_THAT(values.read(), ElementsAre(2, 1));
}

TEST(EmulatedStreamTest, AStreamSeesAnothersWorkOnlyIfItWaitsForIt) {
  const DeviceArray<float> values(1);
  const DeviceArray<float> sums(1);
  const DeviceStream first;
  const DeviceStream second;
  const DeviceEvent filled;
  start_fill(values.get(), 1.0F, 1, first);
  EXPECT_EQ(cudaEventRecord(filled, first), cudaSuccess);
  start_add(values.get(), values.get(), sums.get(), 1, second);
  second.finish();
  EXPECT_THAT(sums.read(), ElementsAre(IsNan()));
  EXPECT_EQ(cudaStreamWaitEvent(second, filled, 0), cudaSuccess);
  start_add(values.get(), values.get(), sums.get(), 1, second);
  second.finish();
  EXPECT_THAT(sums.read(), ElementsAre(2.0F));
}

TEST(EmulatedStreamTest, TheLegacyStreamWaitsForBlockingStreams) {
  const DeviceArray<float> values(1);
  cudaStream_t blocking = nullptr;
  EXPECT_EQ(cudaStreamCreate(&blocking), cudaSuccess);
  start_fill(values.get(), 1.0F, 1, blocking);
  EXPECT_THAT(values.read(), ElementsAre(1.0F));
  EXPECT_EQ(cudaStreamDestroy(blocking), cudaSuccess);
}

class EmulatedGraphs : public ::testing::TestWithParam<EmulatedOrder> {
 protected:
  EmulatedGraphs() { set_emulated_order(GetParam(), 11); }
  ~EmulatedGraphs() override { set_emulated_order(EmulatedOrder::kForward); }

  // Ends the capture and makes it something to launch.
  void instantiate(cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&executable_, graph, 0), cudaSuccess);
    ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  void TearDown() override {
    if (executable_ != nullptr) {
      EXPECT_EQ(cudaGraphExecDestroy(executable_), cudaSuccess);
    }
  }
  cudaGraphExec_t executable_ = nullptr;
};

TEST_P(EmulatedGraphs, ACaptureRunsNothingAndItsReplaysUseTheDataOfTheirTime) {
  const DeviceArray<float> values(std::vector<float>{1, 2});
  const PinnedArray host(2);
  const DeviceStream stream;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  start_scale(values.get(), 10.0F, 2, stream);
  EXPECT_EQ(cudaMemcpyAsync(host.get(), values.get(), 8, cudaMemcpyDeviceToHost, stream), cudaSuccess);
  instantiate(stream);
  stream.finish();
  EXPECT_THAT(values.read(), ElementsAre(1, 2));
  EXPECT_EQ(cudaGraphLaunch(executable_, stream), cudaSuccess);
  stream.finish();
  EXPECT_EQ(host.get()[1], 20);
  const float changed = 5;
  EXPECT_EQ(cudaMemcpyAsync(values.get() + 1, &changed, 4, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(executable_, stream), cudaSuccess);
  stream.finish();
  EXPECT_EQ(host.get()[0], 100);
  EXPECT_EQ(host.get()[1], 50);
}

TEST_P(EmulatedGraphs, ForkedStreamsAreCapturedAndJoined) {
  const DeviceArray<float> left(3);
  const DeviceArray<float> right(3);
  const DeviceArray<float> sums(3);
  const DeviceStream stream;
  const DeviceStream side;
  const DeviceEvent forked;
  const DeviceEvent joined;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  start_fill(left.get(), 1.0F, 3, stream);
  EXPECT_EQ(cudaEventRecord(forked, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(side, forked, 0), cudaSuccess);
  start_fill(right.get(), 2.0F, 3, side);
  start_scale(right.get(), 3.0F, 3, side);
  EXPECT_EQ(cudaEventRecord(joined, side), cudaSuccess);
  start_scale(left.get(), 4.0F, 3, stream);
  EXPECT_EQ(cudaStreamWaitEvent(stream, joined, 0), cudaSuccess);
  start_add(left.get(), right.get(), sums.get(), 3, stream);
  instantiate(stream);
  for (int replay = 0; replay < 2; ++replay) {
    EXPECT_EQ(cudaGraphLaunch(executable_, stream), cudaSuccess);
    stream.finish();
    EXPECT_THAT(sums.read(), Each(10.0F));
  }
}

TEST_P(EmulatedGraphs, AnExternalEventIsPassedByEachReplayAndNotByTheCapture) {
  const DeviceArray<float> values(3);
  const DeviceStream stream;
  const DeviceEvent begin;
  const DeviceEvent end;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaEventRecordWithFlags(begin, stream, cudaEventRecordExternal), cudaSuccess);
  start_fill(values.get(), 1.0F, 3, stream);
  EXPECT_EQ(cudaEventRecordWithFlags(end, stream, cudaEventRecordExternal), cudaSuccess);
  instantiate(stream);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGraphLaunch(executable_, stream), cudaSuccess);
  stream.finish();
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaSuccess);
  EXPECT_GT(milliseconds, 0);
}

INSTANTIATE_TEST_SUITE_P(EveryOrder, EmulatedGraphs,
                         ::testing::Values(EmulatedOrder::kForward, EmulatedOrder::kReversed,
                                           EmulatedOrder::kRandom));

TEST(EmulatedGraphTest, BranchesThatNothingOrdersRunUnlikeTheCallsUnlessReversed) {
  for (const EmulatedOrder order : {EmulatedOrder::kForward, EmulatedOrder::kReversed}) {
    set_emulated_order(order);
    const DeviceArray<float> values(1);
    const DeviceStream stream;
    const DeviceStream side;
    const DeviceEvent forked;
    const DeviceEvent joined;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(forked, stream), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(side, forked, 0), cudaSuccess);
    start_fill(values.get(), 1.0F, 1, stream);
    start_fill(values.get(), 2.0F, 1, side);  // a race
    EXPECT_EQ(cudaEventRecord(joined, side), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(stream, joined, 0), cudaSuccess);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
    EXPECT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
    stream.finish();
    EXPECT_THAT(values.read(), ElementsAre(order == EmulatedOrder::kForward ? 1.0F : 2.0F));
    EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  set_emulated_order(EmulatedOrder::kForward);
}

TEST(EmulatedGraphTest, AForkThatIsNotJoinedIsRefused) {
  const DeviceArray<float> values(1);
  const DeviceStream stream;
  const DeviceStream side;
  const DeviceEvent forked;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(forked, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(side, forked, 0), cudaSuccess);
  start_fill(values.get(), 2.0F, 1, side);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph, nullptr);
  EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureUnjoined);
}

class ForbiddenInCaptures : public ::testing::Test {
 protected:
  template <class Call>
  void expect_refused(const Call& call) {
    const DeviceStream stream;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(call(stream), cudaErrorStreamCaptureUnsupported);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
  }
};

TEST_F(ForbiddenInCaptures, SynchronisingAllocatingAndPageableCopiesLoseTheCapture) {
  const DeviceArray<float> values(1);
  float host = 0;
  void* memory = nullptr;
  expect_refused([](cudaStream_t stream) { return cudaStreamSynchronize(stream); });
  expect_refused([](cudaStream_t) { return cudaDeviceSynchronize(); });
  expect_refused([](cudaStream_t stream) { return cudaStreamQuery(stream); });
  expect_refused([&](cudaStream_t) { return cudaMalloc(&memory, 4); });
  expect_refused([&](cudaStream_t) { return cudaHostAlloc(&memory, 4, cudaHostAllocMapped); });
  expect_refused([&](cudaStream_t) { return cudaMemcpy(&host, values.get(), 4, cudaMemcpyDeviceToHost); });
  expect_refused([&](cudaStream_t stream) {
    return cudaMemcpyAsync(values.get(), &host, 4, cudaMemcpyHostToDevice, stream);
  });
}

TEST_F(ForbiddenInCaptures, QuestionsToCapturedEventsAndWaitsForUncapturedWorkLoseTheCapture) {
  const DeviceStream stream;
  const DeviceStream other;
  const DeviceEvent captured;
  const DeviceEvent outside;
  EXPECT_EQ(cudaEventRecord(outside, other), cudaSuccess);
  for (const bool ask : {true, false}) {
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(cudaEventRecord(captured, stream), cudaSuccess);
    if (ask) {
      EXPECT_EQ(cudaEventQuery(captured), cudaErrorCapturedEvent);
    } else {
      EXPECT_EQ(cudaStreamWaitEvent(stream, outside, 0), cudaErrorStreamCaptureIsolation);
    }
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  }
  EXPECT_EQ(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
}

}  // namespace
}  // namespace regatta
