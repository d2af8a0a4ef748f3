// The lanes' flat buffers on the device: weights, gradients, moments and running statistics.
//
// The order is the network's (see Network): parameter p of lane l stands in p's block at l times p's size.
// Other than on the host each block begins at a multiple of kBlockAlignment, for the sake of wide loads, and
// filters of convolutions are channel-last, [out][taps][in] for the host's [out][in][taps]. What comes and
// goes is turned round on the way, when a trial starts or is saved; a step never does.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/cuda/element_type.h"
#include "models/cuda/runtime.h"
#include "models/network.h"
#include "models/parameter_memory.h"

namespace regatta::cuda {

// A parameter's place: of all lanes, one behind the other.
struct ParameterBlock {
  const ParameterSpec* spec = nullptr;
  std::int64_t offset = 0;  // in floats, of the device's flat buffers
  std::int64_t out = 1;     // filters: [out][taps][in]; else taps is 1
  std::int64_t in = 1;
  std::int64_t taps = 1;
};

class Parameters {
 public:
  static constexpr std::int64_t kBlockAlignment = 64;  // floats

  // `network` outlives this object. For bf16 products there is a second copy of the weights in that type,
  // which every update renews.
  static Result<Parameters> allocate(const Network& network, int lanes, ElementType products);

  int lanes() const { return lanes_; }
  std::int64_t floats() const { return floats_; }  // of a flat buffer, gaps included
  const std::vector<ParameterBlock>& blocks() const { return blocks_; }
  const Network& network() const { return *network_; }

  float* weights() const { return weights_.as<float>(); }
  float* gradients() const { return gradients_.as<float>(); }
  float* first_moments() const { return first_moments_.as<float>(); }
  float* second_moments() const { return second_moments_.as<float>(); }
  void* product_weights() const { return copies_.data(); }  // bf16, or null

  // By name, of lane 0; the other lanes' follow.
  float* weight(std::string_view name) const;
  float* gradient(std::string_view name) const;
  // What products read: the bf16 copy, or the weight itself.
  const void* product_weight(std::string_view name) const;
  float* buffer(std::string_view name) const;  // [lanes][size]

  // Between these and the host's flat buffers, which are laid out as ParameterMemory says. They wait for the
  // stream's work before, and have finished when they return.
  struct HostMemory {
    ParameterMemory parameters;
    float* first_moments = nullptr;
    float* second_moments = nullptr;
  };
  Status upload(int lane, const HostMemory& from, const Stream& stream);
  Status download(int lane, const HostMemory& to, const Stream& stream) const;
  // All lanes; [lanes * parameter_count] in the host's order.
  Status download_gradients(std::span<float> to, const Stream& stream) const;

 private:
  const ParameterBlock& block(std::string_view name) const;
  std::int64_t buffer_offset(const BufferSpec& spec) const;  // floats

  const Network* network_ = nullptr;
  int lanes_ = 1;
  std::int64_t floats_ = 0;
  std::vector<ParameterBlock> blocks_;
  DeviceMemory weights_;
  DeviceMemory gradients_;
  DeviceMemory first_moments_;
  DeviceMemory second_moments_;
  DeviceMemory copies_;
  DeviceMemory buffers_;  // a block a buffer, as with the parameters
};

}  // namespace regatta::cuda
