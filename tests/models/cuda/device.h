// Whether there is a device to test on: always, where it is emulated.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

// In a test or SetUp(): skips it, and says why.
#define REGATTA_NEEDS_CUDA_DEVICE()                                      \
  do {                                                                   \
    int devices_ = 0;                                                    \
    if (cudaGetDeviceCount(&devices_) != cudaSuccess || devices_ == 0) { \
      GTEST_SKIP() << "there is no CUDA device here";                    \
    }                                                                    \
  } while (false)
