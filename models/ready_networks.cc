// The table of networks, and those that are a few lines long.
#include "models/ready_networks.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "models/layer_options.h"

namespace regatta {
namespace {

// Regression in one layer: softmax is part of the loss.
void build_logistic(Section& options, const ModelInput& input, LayerList& layers) {
  if (!input.classification) {
    options.mistake(layers.place(),
                    "logistic regression is for classification, and the data has numbers to "
                    "predict; use `linear`");
  }
  layers.add("dense", Dense{.units = input.outputs});
}

void build_linear(Section& options, const ModelInput& input, LayerList& layers) {
  if (input.classification) {
    options.mistake(layers.place(),
                    "linear regression predicts numbers, and the data has classes; use `logistic`");
  }
  layers.add("dense", Dense{.units = input.outputs});
}

void build_mlp(Section& options, const ModelInput& input, LayerList& layers) {
  const std::int64_t hidden = options.integer("layers", {.fallback = 2, .min = 0, .max = kMostReadyLayers});
  const std::int64_t width = options.integer("width", {.fallback = 256, .min = 1, .max = kLargestWidth});
  const double dropout =
      options.number("dropout", {.fallback = 0.0, .min = 0, .max = 1, .max_excluded = true});
  const bool batch_norm = options.flag("batch_norm", false);
  for (std::int64_t i = 0; i < hidden; ++i) {
    layers.add("dense", Dense{.units = width, .bias = !batch_norm});
    if (batch_norm) {
      layers.add("batch_norm", BatchNorm{});
    }
    layers.add("relu", Activation{Activation::Kind::relu});
    if (dropout > 0) {
      layers.add("dropout", Dropout{dropout});
    }
  }
  layers.add("dense", Dense{.units = input.outputs});
}

// LeCun et al. 1998, figure 2, with today's relu, max pooling and softmax. Images of 28 × 28 are padded to
// its 32 × 32.
void build_lenet(Section&, const ModelInput& input, LayerList& layers) {
  const bool image = input.sample_shape.size() == 3;
  const bool as_published = image && input.sample_shape[1] >= 32 && input.sample_shape[2] >= 32;
  layers.add("conv", Conv{.filters = 6, .kernel = 5, .padding = as_published ? 0 : 2});
  layers.add("relu", Activation{Activation::Kind::relu});
  layers.add("max_pool", Pool{});
  layers.add("conv", Conv{.filters = 16, .kernel = 5});
  layers.add("relu", Activation{Activation::Kind::relu});
  layers.add("max_pool", Pool{});
  for (const std::int64_t units : {120, 84}) {
    layers.add("dense", Dense{.units = units});
    layers.add("relu", Activation{Activation::Kind::relu});
  }
  layers.add("dense", Dense{.units = input.outputs});
}

struct ReadyNetwork {
  std::string_view name;
  NetworkBuilder build;
};
constexpr std::array kReadyNetworks = {
    ReadyNetwork{"logistic", build_logistic}, ReadyNetwork{"linear", build_linear},
    ReadyNetwork{"mlp", build_mlp},           ReadyNetwork{"lenet", build_lenet},
    ReadyNetwork{"resnet", build_resnet},     ReadyNetwork{"lstm", build_lstm},
    ReadyNetwork{"gpt", build_gpt},
};

Result<const ReadyNetwork*> find_network(const Typed& typed) {
  std::vector<std::string> names;
  for (const ReadyNetwork& network : kReadyNetworks) {
    if (network.name == typed.type) {
      return &network;
    }
    names.emplace_back(network.name);
  }
  return mistake_at(typed.place,
                    fmt::format("there is no ready network '{}'{}; there are {}, or give `layers:`",
                                typed.type, did_you_mean(typed.type, names), one_of(names)));
}

}  // namespace

Result<std::vector<Layer>> read_ready_network(const Node& model, const ModelInput& input) {
  ASSIGN_OR_RETURN(const Typed typed, read_typed(model, "model"));
  ASSIGN_OR_RETURN(const ReadyNetwork* network, find_network(typed));
  Section options(typed.options, typed.type);
  LayerList list(typed.place);
  network->build(options, input, list);
  RETURN_IF_ERROR(options.finish());
  std::vector<Layer> layers = std::move(list).take();
  RETURN_IF_ERROR(name_layers(layers));
  return layers;
}

}  // namespace regatta
