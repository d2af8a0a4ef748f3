// Shapes and parameters of the layers of sequences.
#pragma once

#include <vector>

#include "base/result.h"
#include "models/layers.h"
#include "models/network.h"

namespace regatta {

// One layer's parameters, in the order in which they stand in the flat buffer.
using ParameterGroup = std::vector<ParameterSpec>;

struct LayerPlan {
  Shape output;
  ParameterGroup parameters = {};  // without offset and size
};

// What a layer makes of `input`, or a located mistake.
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Reshape& reshape, const Shape& input);
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const TimePool& pool, const Shape& input);
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const LayerNorm& norm, const Shape& input);
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Embedding& embedding, const Shape& input);
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const PositionEmbedding&, const Shape& input);
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Attention& attention, const Shape& input);
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Recurrent& recurrent, const Shape& input);
Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Conv1d& conv, const Shape& input);

}  // namespace regatta
