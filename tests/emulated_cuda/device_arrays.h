// What the tests of the emulated device share: arrays and streams that free themselves.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

namespace regatta {

template <class Value>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size) : size_(size) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&values_), size * sizeof(Value)), cudaSuccess);
  }
  explicit DeviceArray(const std::vector<Value>& values) : DeviceArray(values.size()) {
    EXPECT_EQ(cudaMemcpy(values_, values.data(), size_ * sizeof(Value), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~DeviceArray() { EXPECT_EQ(cudaFree(values_), cudaSuccess); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  Value* get() const { return values_; }
  // A blocking copy: it does not wait for non-blocking streams.
  std::vector<Value> read() const {
    std::vector<Value> values(size_);
    EXPECT_EQ(cudaMemcpy(values.data(), values_, size_ * sizeof(Value), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  Value* values_ = nullptr;
  std::size_t size_;
};

class DeviceStream {
 public:
  DeviceStream() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess); }
  ~DeviceStream() { EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess); }
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;
  operator cudaStream_t() const { return stream_; }
  void finish() const { EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess); }

 private:
  cudaStream_t stream_ = nullptr;
};

class DeviceEvent {
 public:
  DeviceEvent() { EXPECT_EQ(cudaEventCreate(&event_), cudaSuccess); }
  ~DeviceEvent() { EXPECT_EQ(cudaEventDestroy(event_), cudaSuccess); }
  DeviceEvent(const DeviceEvent&) = delete;
  DeviceEvent& operator=(const DeviceEvent&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace regatta
