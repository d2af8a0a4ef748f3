// Residual networks for small images. He et al., "Deep residual learning for image recognition", 2016.
#include <fmt/format.h>

#include <algorithm>

#include "models/ready_networks.h"

namespace regatta {
namespace {

constexpr int kStages = 3;

void add_conv(std::vector<Layer>& body, const Place& place, std::int64_t filters, std::int64_t stride) {
  body.push_back({.what = Conv{.filters = filters, .stride = stride, .padding = 1, .bias = false},
                  .place = place,
                  .name = "conv"});
  body.push_back({.what = BatchNorm{}, .place = place, .name = "batch_norm"});
}

// Two convolutions with the identity beside them; where a stage begins the shapes differ, and the shortcut is
// a projection (the paper's option B).
Residual make_block(const Place& place, std::int64_t filters, std::int64_t stride) {
  Residual block;
  add_conv(block.body, place, filters, stride);
  block.body.push_back({.what = Activation{Activation::Kind::relu}, .place = place, .name = "relu"});
  add_conv(block.body, place, filters, 1);
  return block;
}

// 20 for 21.
std::int64_t nearest_depth(std::int64_t depth) { return std::max<std::int64_t>(8, (depth + 1) / 6 * 6 + 2); }

}  // namespace

void build_resnet(Section& options, const ModelInput& input, LayerList& layers) {
  const std::int64_t depth = options.integer("depth", {.fallback = 20, .min = 8, .max = 2'000});
  const std::int64_t width = options.integer("width", {.fallback = 16, .min = 1, .max = 10'000});
  if (depth % 6 != 2) {
    options.mistake(
        options.child("depth")->place(),
        fmt::format("a resnet has 6n + 2 layers (8, 14, 20, 32, 44, 56, 110, …), not {}; the nearest "
                    "is {}",
                    depth, nearest_depth(depth)));
  }
  layers.add("conv", Conv{.filters = width, .padding = 1, .bias = false});
  layers.add("batch_norm", BatchNorm{});
  layers.add("relu", Activation{Activation::Kind::relu});
  for (int stage = 0; stage < kStages; ++stage) {
    for (std::int64_t block = 0; block < (depth - 2) / 6; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      layers.add("residual", make_block(layers.place(), width << stage, stride));
      layers.add("relu", Activation{Activation::Kind::relu});
    }
  }
  layers.add("global_pool", GlobalPool{});
  layers.add("dense", Dense{.units = input.outputs});
}

}  // namespace regatta
