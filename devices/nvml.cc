// The few functions that are needed, with the types of NVML's stable interface (NVIDIA, NVML API Reference).
#include "devices/nvml.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>

namespace regatta {
namespace {

using NvmlCode = int;  // 0: success
using NvmlDevice = void*;

struct NvmlMemory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

struct NvmlUtilization {
  unsigned int gpu;  // in percent
  unsigned int memory;
};

template <class Function>
bool load(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  return function != nullptr;
}

}  // namespace

struct Nvml::Functions {
  NvmlCode (*init)() = nullptr;
  NvmlCode (*shut_down)() = nullptr;
  NvmlCode (*device_by_bus)(const char*, NvmlDevice*) = nullptr;
  NvmlCode (*memory)(NvmlDevice, NvmlMemory*) = nullptr;
  NvmlCode (*utilization)(NvmlDevice, NvmlUtilization*) = nullptr;
  NvmlCode (*driver_version)(char*, unsigned int) = nullptr;
  const char* (*error_text)(NvmlCode) = nullptr;

  bool load_all(void* library) {
    return load(library, "nvmlInit_v2", init) && load(library, "nvmlShutdown", shut_down) &&
           load(library, "nvmlDeviceGetHandleByPciBusId_v2", device_by_bus) &&
           load(library, "nvmlDeviceGetMemoryInfo", memory) &&
           load(library, "nvmlDeviceGetUtilizationRates", utilization) &&
           load(library, "nvmlSystemGetDriverVersion", driver_version) &&
           load(library, "nvmlErrorString", error_text);
  }
};

Nvml::Nvml(void* library, std::unique_ptr<Functions> functions)
    : library_(library), functions_(std::move(functions)) {}

Nvml::~Nvml() {
  functions_->shut_down();
  ::dlclose(library_);
}

Result<std::unique_ptr<Nvml>> Nvml::open(const std::string& library) {
  void* opened = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) {
    return failure(fmt::format("{} cannot be loaded; it comes with NVIDIA's driver", library));
  }
  auto functions = std::make_unique<Functions>();
  if (!functions->load_all(opened)) {
    ::dlclose(opened);
    return failure(fmt::format("{} lacks a function; is it NVIDIA's, and not too old?", library));
  }
  if (const NvmlCode code = functions->init(); code != 0) {
    const std::string text = functions->error_text(code);
    ::dlclose(opened);
    return failure(fmt::format("{} does not start: {}", library, text));
  }
  return std::unique_ptr<Nvml>(new Nvml(opened, std::move(functions)));
}

Result<CardUse> Nvml::use_of(const std::string& bus) const {
  NvmlDevice device = nullptr;
  if (const NvmlCode code = functions_->device_by_bus(bus.c_str(), &device); code != 0) {
    return failure(fmt::format("NVML does not know card {}: {}", bus, functions_->error_text(code)));
  }
  NvmlMemory memory{};
  if (const NvmlCode code = functions_->memory(device, &memory); code != 0) {
    return failure(
        fmt::format("NVML does not tell the memory of card {}: {}", bus, functions_->error_text(code)));
  }
  CardUse use{.total_bytes = memory.total, .free_bytes = memory.free, .utilization = {}};
  NvmlUtilization utilization{};  // a part of a card (MIG) has none
  if (functions_->utilization(device, &utilization) == 0) {
    use.utilization = utilization.gpu / 100.0;
  }
  return use;
}

std::optional<std::string> Nvml::driver_version() const {
  std::array<char, 96> text{};
  const NvmlCode code = functions_->driver_version(text.data(), static_cast<unsigned int>(text.size() - 1));
  return code == 0 ? std::optional<std::string>(text.data()) : std::nullopt;
}

}  // namespace regatta
