// Networks with a name: `model: {type: resnet, depth: 20}` stands for a list of layers, whose last one fits
// the data. Each is one function, `build_…`, and one line of the table in ready_networks.cc.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "experiment/section.h"
#include "models/layers.h"
#include "models/model.h"

namespace regatta {

// Of the options that say how deep a network is.
inline constexpr std::int64_t kMostReadyLayers = 1'000;

// Layers as a builder adds them; `kind` is the layer's name in YAML.
class LayerList {
 public:
  explicit LayerList(Place place) : place_(std::move(place)) {}

  void add(std::string_view kind, decltype(Layer::what) what) {
    layers_.push_back({.what = std::move(what), .place = place_, .name = std::string(kind)});
  }
  const Place& place() const { return place_; }  // of the network's type: where its mistakes are told
  std::vector<Layer> take() && { return std::move(layers_); }

 private:
  Place place_;
  std::vector<Layer> layers_;
};

// `model` is the section: a name, or a map with `type`.
Result<std::vector<Layer>> read_ready_network(const Node& model, const ModelInput& input);

// Adds the layers of one network. Reads its options; mistakes go to the section.
using NetworkBuilder = void (*)(Section& options, const ModelInput& input, LayerList& layers);

// The form for CIFAR of He et al. 2016, section 4.2: 6n + 2 layers in three stages of n blocks.
void build_resnet(Section& options, const ModelInput& input, LayerList& layers);

// Networks of sequences: an LSTM with a classifier behind its last state, and a decoder of the GPT kind.
void build_lstm(Section& options, const ModelInput& input, LayerList& layers);
void build_gpt(Section& options, const ModelInput& input, LayerList& layers);

}  // namespace regatta
