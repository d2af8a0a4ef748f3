// Who has only the JSON gets the network again, with the same tensors.
#include "worker/network_json.h"

#include <gtest/gtest.h>

#include "models/model.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;

Network network_of(const std::string& model, const ModelInput& input) {
  const auto read = read_model(parse_yaml(model, "model").value(), parse_yaml("{}", "train").value(), input);
  EXPECT_TRUE(read.ok()) << read.error().message;
  return read.value().network;
}

ordered_json as_list(const ordered_json& described);

// One layer as it would stand in an experiment file.
ordered_json as_entry(ordered_json layer) {
  const std::string kind = layer.at("layer");
  for (const char* key : {"layer", "name", "input", "output"}) {
    layer.erase(key);
  }
  if (kind == "residual") {
    return {{kind, as_list(layer.at("body"))}};
  }
  if (kind == "reshape") {
    return {{kind, layer.at("shape")}};
  }
  if (kind == "conv1d") {
    const bool causal = layer.at("zeros_before") != layer.at("zeros_after");
    layer[causal ? "causal" : "padding"] = causal ? ordered_json(true) : layer.at("zeros_before");
    layer.erase("zeros_before");
    layer.erase("zeros_after");
  }
  return layer.empty() ? ordered_json(kind) : ordered_json{{kind, layer}};
}

ordered_json as_list(const ordered_json& described) {
  ordered_json list = ordered_json::array();
  for (const ordered_json& layer : described) {
    list.push_back(as_entry(layer));
  }
  return list;
}

void expect_same_tensors(const Network& rebuilt, const Network& network) {
  ASSERT_EQ(rebuilt.parameters.size(), network.parameters.size());
  for (std::size_t i = 0; i < network.parameters.size(); ++i) {
    EXPECT_EQ(rebuilt.parameters[i].name, network.parameters[i].name);
    EXPECT_EQ(rebuilt.parameters[i].shape, network.parameters[i].shape) << network.parameters[i].name;
  }
  ASSERT_EQ(rebuilt.buffers.size(), network.buffers.size());
}

struct Case {
  std::string model;
  ModelInput input;
};

std::vector<Case> cases() {
  const ModelInput image{.sample_shape = {3, 28, 28}, .outputs = 10};
  const ModelInput text{.sample_shape = {16}, .outputs = 9, .positions = 16, .tokens = 9};
  return {{"logistic", {.sample_shape = {4}, .outputs = 3}},
          {"linear", {.sample_shape = {4}, .classification = false, .outputs = 2}},
          {"{type: mlp, layers: 3, width: 8, dropout: 0.2, batch_norm: true}", image},
          {"lenet", image},
          {"{type: resnet, depth: 14, width: 4}", image},
          {"{type: lstm, width: 8}", {.sample_shape = {1, 28, 28}, .outputs = 10}},
          {"{type: lstm, layers: 2, width: 8, dropout: 0.1}", text},
          {"{type: gpt, depth: 2, width: 8, heads: 2}", text},
          {"layers: [{conv: {filters: 6, groups: 3, stride: 2, padding: 2, bias: false}}, gelu,"
           " {depthwise: {kernel: 5, multiplier: 2}}, tanh, {average_pool: {size: 3, stride: 2}}, sigmoid,"
           " {global_pool: max}, {dense: {units: 10, bias: false}}]",
           image},
          {"layers: [{reshape: [84, 28]}, {conv1d: {filters: 8, causal: true}}, {conv1d: {filters: 8,"
           " padding: valid, bias: false}}, {gru: 8}, {layer_norm: {epsilon: 1e-3}}, {pool_time: mean},"
           " {batch_norm: {momentum: 0.2}}, {dense: 10}]",
           image}};
}

TEST(NetworkJson, RebuildsEveryNetworkWithItsTensors) {
  for (const Case& each : cases()) {
    SCOPED_TRACE(each.model);
    const Network network = network_of(each.model, each.input);
    const ordered_json described = describe_layers(network);
    const Network rebuilt = network_of(ordered_json{{"layers", as_list(described)}}.dump(), each.input);
    expect_same_tensors(rebuilt, network);
    EXPECT_EQ(describe_layers(rebuilt), described);  // every option and shape
  }
}

TEST(NetworkJson, ShowsTheProjectionBesideAResidual) {
  const Network network =
      network_of("{type: resnet, depth: 8, width: 4}", {.sample_shape = {1, 8, 8}, .outputs = 2});
  const ordered_json layers = describe_layers(network);
  EXPECT_EQ(layers[3]["shortcut"], ordered_json::array());
  const ordered_json& projection = layers[5]["shortcut"][0];
  EXPECT_EQ(projection["layer"], "conv");
  EXPECT_EQ(projection["name"], "residual2.shortcut.conv1");
  EXPECT_EQ(projection["stride"], 2);
  EXPECT_EQ(projection["output"], (ordered_json{8, 4, 4}));
}

}  // namespace
}  // namespace regatta
