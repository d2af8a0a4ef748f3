// Asks the CUDA runtime, which starts without a driver too and then says that it has none.
#include <cuda_runtime.h>
#include <cudnn.h>
#include <fmt/format.h>
#include <nccl.h>

#include <array>

#include "devices/devices.h"

namespace regatta {
namespace {

// 13000 is 13.0.
std::string cuda_version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

// 91900 is 9.19.0, and 22809 is 2.28.9.
std::string three_part_version(std::size_t number) {
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

std::vector<LibraryVersion> find_versions() {
  std::vector<LibraryVersion> versions;
  int number = 0;
  if (cudaDriverGetVersion(&number) == cudaSuccess && number > 0) {
    versions.push_back({"CUDA of the driver", cuda_version(number)});
  }
  if (cudaRuntimeGetVersion(&number) == cudaSuccess) {
    versions.push_back({"CUDA", cuda_version(number)});
  }
  versions.push_back({"cuDNN", three_part_version(cudnnGetVersion())});
  if (ncclGetVersion(&number) == ncclSuccess) {
    versions.push_back({"NCCL", three_part_version(static_cast<std::size_t>(number))});
  }
  return versions;
}

int attribute(cudaDeviceAttr which, int index) {
  int value = 0;
  return cudaDeviceGetAttribute(&value, which, index) == cudaSuccess ? value : 0;
}

// A card that cannot be asked is left without what it did not tell.
Card describe_card(int index) {
  Card card{.index = index,
            .name = {},
            .bus = {},
            .capability_major = attribute(cudaDevAttrComputeCapabilityMajor, index),
            .capability_minor = attribute(cudaDevAttrComputeCapabilityMinor, index)};
  std::array<char, 32> bus{};
  if (cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), index) == cudaSuccess) {
    card.bus = bus.data();
  }
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, index) == cudaSuccess) {
    card.name = properties.name;
    card.memory_bytes = properties.totalGlobalMem;
  }
  return card;
}

}  // namespace

FoundDevices find_devices() {
  FoundDevices found{.cards = {}, .why_none = {}, .versions = find_versions()};
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver) {
    found.why_none =
        "no NVIDIA driver is loaded, or one that is too old for CUDA " + cuda_version(CUDART_VERSION);
  } else if (code != cudaSuccess && code != cudaErrorNoDevice) {
    found.why_none = fmt::format("CUDA says: {}", cudaGetErrorString(code));
  } else if (count == 0) {
    found.why_none = "CUDA finds no card (does CUDA_VISIBLE_DEVICES hide it?)";
  }
  for (int index = 0; found.why_none.empty() && index < count; ++index) {
    found.cards.push_back(describe_card(index));
  }
  (void)cudaGetLastError();  // what was found here is no later call's error
  return found;
}

}  // namespace regatta
