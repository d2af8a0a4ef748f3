// Each layer's rule, and what it says of a shape that does not fit.
#include "models/sequence_plan.h"

#include <fmt/format.h>

namespace regatta {
namespace {

Status check_sequence(const Layer& layer, const Shape& input) {
  if (is_sequence(input)) {
    return {};
  }
  return mistake_at(layer.place,
                    fmt::format("{} needs a sequence (positions × features), and its input is {}; put "
                                "`reshape: [positions, features]` before it",
                                layer.name, describe(input)));
}

ParameterSpec zeros_like(std::string name, std::int64_t size) {
  return {.name = std::move(name), .shape = {size}, .initializer = Initializer::zeros, .decays = false};
}

}  // namespace

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Reshape& reshape, const Shape& input) {
  if (element_count(reshape.shape) != element_count(input)) {
    return mistake_at(layer.place,
                      fmt::format("{}: the shape {} has {} values, and the input {} has {}", layer.name,
                                  describe(reshape.shape), element_count(reshape.shape), describe(input),
                                  element_count(input)));
  }
  return LayerPlan{reshape.shape};
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const TimePool&, const Shape& input) {
  RETURN_IF_ERROR(check_sequence(layer, input));
  return LayerPlan{{input.back()}};
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const LayerNorm&, const Shape& input) {
  if (input.size() > 2) {
    return mistake_at(layer.place,
                      fmt::format("{} needs features or a sequence, and its input is an image of {}; "
                                  "use batch_norm, or reshape before it",
                                  layer.name, describe(input)));
  }
  LayerPlan plan{input};
  plan.parameters.push_back({.name = layer.name + ".weight",
                             .shape = {input.back()},
                             .initializer = Initializer::ones,
                             .decays = false});
  plan.parameters.push_back(zeros_like(layer.name + ".bias", input.back()));
  return plan;
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Embedding& embedding,
                                          const Shape& input) {
  if (input.size() != 1) {
    return mistake_at(layer.place, fmt::format("{} needs a row of token numbers, and its input is {}",
                                               layer.name, describe(input)));
  }
  return LayerPlan{.output = {input.front(), embedding.units},
                   .parameters = {{.name = layer.name + ".weight",
                                   .shape = {embedding.vocabulary, embedding.units},
                                   .initializer = Initializer::small_normal}}};
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const PositionEmbedding&, const Shape& input) {
  RETURN_IF_ERROR(check_sequence(layer, input));
  return LayerPlan{
      .output = input,
      .parameters = {
          {.name = layer.name + ".weight", .shape = input, .initializer = Initializer::small_normal}}};
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Attention& attention,
                                          const Shape& input) {
  RETURN_IF_ERROR(check_sequence(layer, input));
  const std::int64_t features = input.back();
  if (features % attention.heads != 0) {
    return mistake_at(layer.place, fmt::format("{}: {} features cannot be divided among {} heads", layer.name,
                                               features, attention.heads));
  }
  LayerPlan plan{input};
  plan.parameters.push_back({.name = layer.name + ".in_proj_weight",
                             .shape = {3 * features, features},
                             .initializer = Initializer::glorot_uniform,
                             .fan_in = features,
                             .fan_out = 3 * features});
  plan.parameters.push_back(zeros_like(layer.name + ".in_proj_bias", 3 * features));
  plan.parameters.push_back({.name = layer.name + ".out_proj.weight",
                             .shape = {features, features},
                             .initializer = Initializer::glorot_uniform,
                             .fan_in = features,
                             .fan_out = features});
  plan.parameters.push_back(zeros_like(layer.name + ".out_proj.bias", features));
  return plan;
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Recurrent& recurrent,
                                          const Shape& input) {
  RETURN_IF_ERROR(check_sequence(layer, input));
  const std::int64_t units = recurrent.units;
  const std::int64_t gates = (recurrent.kind == Recurrent::Kind::lstm ? 4 : 3) * units;
  LayerPlan plan{{input.front(), units}};
  const auto add = [&](const char* name, Shape shape, bool decays) {
    plan.parameters.push_back({.name = layer.name + name,
                               .shape = std::move(shape),
                               .initializer = Initializer::uniform_fan_in,
                               .fan_in = units,
                               .fan_out = gates,
                               .decays = decays});
  };
  add(".weight_ih_l0", {gates, input.back()}, true);
  add(".weight_hh_l0", {gates, units}, true);
  add(".bias_ih_l0", {gates}, false);
  add(".bias_hh_l0", {gates}, false);
  return plan;
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Conv1d& conv, const Shape& input) {
  RETURN_IF_ERROR(check_sequence(layer, input));
  const std::int64_t padded = input.front() + conv.zeros_before + conv.zeros_after;
  if (conv.kernel > padded) {
    return mistake_at(layer.place,
                      fmt::format("{}: the window of {} is longer than the input of {} positions, with "
                                  "its padding",
                                  layer.name, conv.kernel, padded));
  }
  LayerPlan plan{{window_positions(padded, conv.kernel, conv.stride, 0), conv.filters}};
  plan.parameters.push_back({.name = layer.name + ".weight",
                             .shape = {conv.filters, input.back(), conv.kernel},
                             .initializer = Initializer::glorot_uniform,
                             .fan_in = input.back() * conv.kernel,
                             .fan_out = conv.filters * conv.kernel});
  if (conv.bias) {
    plan.parameters.push_back(zeros_like(layer.name + ".bias", conv.filters));
  }
  return plan;
}

}  // namespace regatta
