// Blocks of the device's flat buffers, and their way to the host and back.
#include "models/cuda/parameters.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace regatta::cuda {
namespace {

std::int64_t aligned(std::int64_t floats) {
  constexpr std::int64_t kTo = Parameters::kBlockAlignment;
  return (floats + kTo - 1) / kTo * kTo;
}

// Filters of convolutions are [out, in, taps…]; other parameters have at most two axes.
ParameterBlock block_of(const ParameterSpec& spec, std::int64_t offset) {
  ParameterBlock block{.spec = &spec, .offset = offset, .out = 1, .in = spec.size, .taps = 1};
  if (spec.shape.size() > 2) {
    block.out = spec.shape[0];
    block.in = spec.shape[1];
    block.taps = spec.size / (block.out * block.in);
  }
  return block;
}

// [out][in][taps] of the host becomes [out][taps][in], or the other way round.
enum class Direction { to_device, to_host };
void turn(const ParameterBlock& block, Direction direction, const float* from, float* to) {
  for (std::int64_t out = 0; out < block.out; ++out) {
    for (std::int64_t in = 0; in < block.in; ++in) {
      for (std::int64_t tap = 0; tap < block.taps; ++tap) {
        const std::int64_t host = in * block.taps + tap;
        const std::int64_t device = tap * block.in + in;
        const std::int64_t first = out * block.in * block.taps;
        if (direction == Direction::to_device) {
          to[first + device] = from[first + host];
        } else {
          to[first + host] = from[first + device];
        }
      }
    }
  }
}

Status copy_and_wait(void* to, const void* from, std::int64_t floats, cudaMemcpyKind kind,
                     const Stream& stream, std::string_view doing) {
  RETURN_IF_ERROR(
      check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(floats) * sizeof(float), kind, stream.get()),
            doing));
  return check(cudaStreamSynchronize(stream.get()), doing);
}

Status copy_in(const ParameterBlock& block, const float* host, float* device, const Stream& stream) {
  std::vector<float> turned(static_cast<std::size_t>(block.spec->size));
  turn(block, Direction::to_device, host, turned.data());
  return copy_and_wait(device, turned.data(), block.spec->size, cudaMemcpyHostToDevice, stream,
                       "copying weights to the GPU");
}

Status copy_out(const ParameterBlock& block, const float* device, float* host, const Stream& stream) {
  std::vector<float> turned(static_cast<std::size_t>(block.spec->size));
  RETURN_IF_ERROR(copy_and_wait(turned.data(), device, block.spec->size, cudaMemcpyDeviceToHost, stream,
                                "copying weights from the GPU"));
  turn(block, Direction::to_host, turned.data(), host);
  return {};
}

}  // namespace

Result<Parameters> Parameters::allocate(const Network& network, int lanes, ElementType products) {
  Parameters parameters;
  parameters.network_ = &network;
  parameters.lanes_ = lanes;
  for (const ParameterSpec& spec : network.parameters) {
    parameters.blocks_.push_back(block_of(spec, parameters.floats_));
    parameters.floats_ += aligned(lanes * spec.size);
  }
  std::int64_t buffer_floats = 0;
  for (const BufferSpec& spec : network.buffers) {
    buffer_floats += aligned(lanes * spec.size);
  }
  const auto allocate_floats = [](std::int64_t floats, std::string_view what) {
    return DeviceMemory::allocate(static_cast<std::size_t>(floats) * sizeof(float), what);
  };
  ASSIGN_OR_RETURN(parameters.weights_, allocate_floats(parameters.floats_, "the weights"));
  ASSIGN_OR_RETURN(parameters.gradients_, allocate_floats(parameters.floats_, "the gradients"));
  ASSIGN_OR_RETURN(parameters.first_moments_, allocate_floats(parameters.floats_, "the optimizer's moments"));
  ASSIGN_OR_RETURN(parameters.second_moments_,
                   allocate_floats(parameters.floats_, "the optimizer's moments"));
  ASSIGN_OR_RETURN(parameters.buffers_, allocate_floats(buffer_floats, "the running statistics"));
  if (products == ElementType::bf16) {
    ASSIGN_OR_RETURN(parameters.copies_,
                     DeviceMemory::allocate(static_cast<std::size_t>(parameters.floats_ * bytes_of(products)),
                                            "the weights in bf16"));
  }
  return parameters;
}

const ParameterBlock& Parameters::block(std::string_view name) const {
  const auto found =
      std::ranges::find_if(blocks_, [&](const auto& block) { return block.spec->name == name; });
  CHECK(found != blocks_.end(), name);
  return *found;
}

float* Parameters::weight(std::string_view name) const { return weights() + block(name).offset; }

float* Parameters::gradient(std::string_view name) const { return gradients() + block(name).offset; }

const void* Parameters::product_weight(std::string_view name) const {
  const std::int64_t offset = block(name).offset;
  return copies_.data() != nullptr ? static_cast<const void*>(copies_.as<std::uint16_t>() + offset)
                                   : weights() + offset;
}

std::int64_t Parameters::buffer_offset(const BufferSpec& spec) const {
  std::int64_t offset = 0;
  for (const BufferSpec& other : network_->buffers) {
    if (&other == &spec) {
      return offset;
    }
    offset += aligned(lanes_ * other.size);
  }
  check_failed("a buffer of this network", __FILE__, __LINE__, spec.name);
}

float* Parameters::buffer(std::string_view name) const {
  const auto& specs = network_->buffers;
  const auto found = std::ranges::find_if(specs, [&](const auto& spec) { return spec.name == name; });
  CHECK(found != specs.end(), name);
  return buffers_.as<float>() + buffer_offset(*found);
}

Status Parameters::upload(int lane, const HostMemory& from, const Stream& stream) {
  for (const ParameterBlock& block : blocks_) {
    const std::int64_t at = block.offset + lane * block.spec->size;
    const auto host = [&](float* flat) { return from.parameters.of_lane(flat, *block.spec, lane); };
    RETURN_IF_ERROR(copy_in(block, host(from.parameters.weights), weights() + at, stream));
    RETURN_IF_ERROR(copy_in(block, host(from.first_moments), first_moments() + at, stream));
    RETURN_IF_ERROR(copy_in(block, host(from.second_moments), second_moments() + at, stream));
  }
  for (const BufferSpec& spec : network_->buffers) {
    RETURN_IF_ERROR(copy_and_wait(buffer(spec.name) + lane * spec.size,
                                  from.parameters.buffer(spec.name, lane), spec.size, cudaMemcpyHostToDevice,
                                  stream, "copying statistics to the GPU"));
  }
  return {};
}

Status Parameters::download(int lane, const HostMemory& to, const Stream& stream) const {
  for (const ParameterBlock& block : blocks_) {
    const std::int64_t at = block.offset + lane * block.spec->size;
    const auto host = [&](float* flat) { return to.parameters.of_lane(flat, *block.spec, lane); };
    RETURN_IF_ERROR(copy_out(block, weights() + at, host(to.parameters.weights), stream));
    RETURN_IF_ERROR(copy_out(block, first_moments() + at, host(to.first_moments), stream));
    RETURN_IF_ERROR(copy_out(block, second_moments() + at, host(to.second_moments), stream));
  }
  for (const BufferSpec& spec : network_->buffers) {
    RETURN_IF_ERROR(copy_and_wait(to.parameters.buffer(spec.name, lane), buffer(spec.name) + lane * spec.size,
                                  spec.size, cudaMemcpyDeviceToHost, stream,
                                  "copying statistics from the GPU"));
  }
  return {};
}

Status Parameters::download_gradients(std::span<float> to, const Stream& stream) const {
  CHECK(static_cast<std::int64_t>(to.size()) == lanes_ * network_->parameter_count);
  for (const ParameterBlock& block : blocks_) {
    for (int lane = 0; lane < lanes_; ++lane) {
      const std::int64_t of_lane = lane * block.spec->size;
      RETURN_IF_ERROR(copy_out(block, gradients() + block.offset + of_lane,
                               to.data() + lanes_ * block.spec->offset + of_lane, stream));
    }
  }
  return {};
}

}  // namespace regatta::cuda
