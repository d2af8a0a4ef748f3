// One table of small networks that between them use every layer in every position: on the input, above
// weights, inside and after residual blocks, on features and on images, with sizes that do not fit vector
// registers. Every backend is checked against it.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "models/shape.h"

namespace regatta {

struct LayerCase {
  std::string name;
  std::string layers;  // YAML, under model.layers
  Shape input;
  std::int64_t outputs = 3;
  bool classification = true;
  std::int64_t positions = 1;   // labels of a sample
  std::int64_t vocabulary = 0;  // above 0: the input holds token numbers below it
};
inline void PrintTo(const LayerCase& layer_case, std::ostream* stream) { *stream << layer_case.layers; }

inline const std::vector<LayerCase>& layer_cases() {
  static const std::vector<LayerCase> cases = {
      {"Dense", "[dense: 3]", {5}},
      {"DenseWithoutBias", "[dense: {units: 4, bias: false}, dense: 3]", {5}},
      {"DenseOnImage", "[dense: 7, dense: 3]", {2, 3, 4}},
      {"DenseWide", "[dense: 33, relu, dense: 3]", {17}},
      {"Regression", "[dense: 6, relu, dense: 2]", {4}, 2, false},
      {"Relu", "[dense: 9, relu, dense: 8, relu, dense: 3]", {5}},
      {"ReluOfManyUnits", "[dense: 128, relu, dense: 256, relu, dense: 3]", {5}},
      {"ReluOfFewUnits", "[dense: 40, relu, dense: 130, relu, dense: 1, relu, dense: 3]", {5}},
      {"ReluInTwoPlaces", "[dense: 128, relu, residual: [dense: 128, relu], dense: 3]", {5}},
      {"ReluThenFlatten", "[dense: 128, relu, flatten, dense: 3]", {3, 5}},
      {"PoolBehindTwoRelus",
       "[conv: 3, relu, residual: [conv: 3, relu], relu, max_pool: 2, conv: 17, relu, max_pool: {size: 16, "
       "stride: 1}, dense: 3]",
       {1, 34, 33}},
      {"LayerNormBetweenResiduals",
       "[dense: 5, residual: [dense: 5], residual: [layer_norm, dense: 5], residual: [dense: 5, relu], "
       "layer_norm, residual: [layer_norm, relu, dense: 5], dense: 3]",
       {4}},
      {"ReluOnInput", "[relu, dense: 3]", {5}},
      {"ReluAtTheEnd", "[dense: 3, relu]", {5}},
      {"ReluTwice", "[dense: 6, relu, relu, dense: 3]", {5}},
      {"ConvSame", "[conv: 4, dense: 3]", {2, 5, 5}},
      {"ConvValid", "[conv: {filters: 3, kernel: 2, padding: valid}, dense: 3]", {1, 4, 5}},
      {"ConvStridePadding", "[conv: {filters: 3, kernel: 3, stride: 2, padding: 2}, dense: 3]", {2, 5, 6}},
      {"ConvConvRelu", "[conv: 5, relu, conv: {filters: 4, kernel: 1}, relu, conv: 3, dense: 3]", {1, 5, 5}},
      {"ConvWithoutBias",
       "[conv: {filters: 3, bias: false}, conv: {filters: 2, bias: false}, dense: 3]",
       {3, 4, 4}},
      {"ConvManyChannels", "[conv: 18, relu, conv: 17, relu, average_pool: 4, dense: 3]", {2, 4, 4}},
      {"ConvGroups", "[conv: 4, relu, conv: {filters: 6, groups: 2}, dense: 3]", {2, 5, 5}},
      {"ConvGroupsOnInput", "[conv: {filters: 6, groups: 3, stride: 2, bias: false}, dense: 3]", {3, 5, 6}},
      {"ConvGroupsManyChannels",
       "[conv: 32, conv: {filters: 32, groups: 2}, relu, conv: {filters: 40, groups: 8}, relu, dense: 3]",
       {1, 4, 4}},
      {"Depthwise", "[conv: 5, depthwise, relu, conv: {filters: 4, kernel: 1}, dense: 3]", {2, 5, 5}},
      {"DepthwiseManyChannels",
       "[conv: 16, depthwise: {kernel: 5, stride: 2}, relu, conv: {filters: 20, kernel: 1}, depthwise: 3, "
       "dense: 3]",
       {1, 6, 5}},
      {"DepthwiseMultiplier",
       "[depthwise: {multiplier: 2, padding: valid, bias: false}, dense: 3]",
       {2, 4, 5}},
      {"DepthwiseMultiplierInside", "[conv: 16, depthwise: {multiplier: 2}, relu, dense: 3]", {1, 4, 5}},
      {"GlobalAveragePool", "[conv: 5, relu, global_pool: average, dense: 3]", {2, 4, 5}},
      {"GlobalAveragePoolManyChannels", "[conv: 18, global_pool, dense: 3]", {2, 4, 3}},
      {"GlobalMaxPool", "[conv: 5, global_pool: max, dense: 3]", {2, 4, 5}},
      {"GlobalMaxPoolManyChannels", "[conv: 18, relu, global_pool: max, dense: 3]", {2, 4, 3}},
      {"GlobalMaxPoolOnInput", "[global_pool: max, dense: 3]", {3, 4, 3}},
      {"GlobalAveragePoolAtTheEnd", "[conv: 3, global_pool]", {1, 4, 4}},
      {"ResidualSeparable",
       "[conv: 16, residual: [depthwise: {stride: 2, bias: false}, batch_norm, relu, conv: {filters: 24, "
       "kernel: 1, bias: false}, batch_norm], relu, global_pool, dense: 3]",
       {1, 5, 5}},
      {"MaxPool", "[conv: 3, max_pool: 2, dense: 3]", {1, 6, 6}},
      {"MaxPoolOverlapping", "[conv: 3, relu, max_pool: {size: 3, stride: 2}, conv: 2, dense: 3]", {1, 8, 7}},
      {"MaxPoolOnInput", "[max_pool: 2, dense: 3]", {2, 5, 5}},
      {"AveragePool", "[conv: 3, average_pool: {size: 2, stride: 1}, dense: 3]", {2, 4, 4}},
      {"Flatten", "[conv: 3, flatten, relu, dense: 3]", {1, 4, 4}},
      {"FlattenAtTheEnd", "[conv: {filters: 3, kernel: 2, padding: valid}, flatten]", {2, 2, 2}},
      {"Dropout", "[dense: 8, dropout: 0.4, dense: 3]", {5}},
      {"DropoutAfterRelu", "[dense: 8, relu, dropout: 0.3, dense: 7, relu, dropout: 0.5, dense: 3]", {5}},
      {"DropoutOnImage", "[conv: 5, relu, dropout: 0.3, conv: 2, dense: 3]", {1, 4, 4}},
      {"DropoutOnInput", "[dropout: 0.3, dense: 3]", {2, 3, 3}},
      {"BatchNormOnFeatures", "[dense: 7, batch_norm, relu, dense: 3]", {5}},
      {"BatchNormOnImage", "[conv: 3, batch_norm, relu, conv: 2, batch_norm, dense: 3]", {2, 4, 4}},
      {"BatchNormOnInput", "[batch_norm, conv: 2, dense: 3]", {2, 3, 3}},
      {"BatchNormThenPool", "[conv: 18, batch_norm, max_pool: 2, dense: 3]", {1, 4, 4}},
      {"BatchNormOptions", "[dense: 4, batch_norm: {momentum: 0.3, epsilon: 0.01}, dense: 3]", {5}},
      {"ResidualIdentity", "[dense: 6, residual: [dense: 6, relu, dense: 6], relu, dense: 3]", {5}},
      {"ResidualOnInput", "[residual: [dense: 5], dense: 3]", {5}},
      {"ResidualProjection", "[dense: 6, residual: [relu, dense: 4], dense: 3]", {5}},
      {"ResidualConv", "[conv: 3, relu, residual: [conv: 3, relu, conv: 3], relu, dense: 3]", {1, 4, 4}},
      {"ResidualStride",
       "[conv: 3, residual: [conv: {filters: 5, stride: 2}, relu, conv: 5], relu, dense: 3]",
       {1, 5, 5}},
      {"ResidualBatchNorm",
       "[conv: 3, batch_norm, relu, residual: [conv: {filters: 4, stride: 2, bias: false}, batch_norm, relu, "
       "conv: {filters: 4, bias: false}, batch_norm], relu, average_pool: 2, dense: 3]",
       {1, 4, 4}},
      {"ResidualNested", "[dense: 5, residual: [relu, residual: [dense: 4, relu, dense: 5]], dense: 3]", {4}},
      {"ResidualInARow", "[dense: 5, residual: [dense: 5, relu], residual: [relu, dense: 5], dense: 3]", {4}},
      {"ResidualDropout", "[dense: 5, residual: [dense: 5, relu, dropout: 0.5], dense: 3]", {4}},
      {"ResidualEndsInRelu", "[dense: 5, residual: [dense: 5, relu], dense: 3]", {4}},
      {"ResidualBatchNormFirst", "[dense: 5, residual: [batch_norm, relu, dense: 5], dense: 3]", {4}},
      {"Gelu", "[dense: 9, gelu, dense: 8, gelu, dense: 3]", {5}},
      {"Tanh", "[dense: 9, tanh, dense: 3, tanh]", {5}},
      {"Sigmoid", "[dense: 9, sigmoid, dense: 3]", {5}},
      {"ActivationsOnInput", "[gelu, tanh, sigmoid, dense: 3]", {5}},
      {"ActivationsOnImage",
       "[conv: 5, sigmoid, conv: 6, tanh, batch_norm, sigmoid, conv: 3, gelu, average_pool: 2, dense: 3]",
       {2, 4, 4}},
      {"SigmoidInManyChannels", "[conv: 17, batch_norm, sigmoid, conv: 18, sigmoid, dense: 3]", {2, 4, 4}},
      {"DenseOnSequence", "[dense: 6, relu, dense: 4, gelu, flatten, dense: 3]", {4, 5}},
      {"ReshapeToSequence", "[reshape: [4, 6], dense: 5, tanh, pool_time: last, dense: 3]", {1, 6, 4}},
      {"ReshapeOfBlocks",
       "[conv: 17, relu, reshape: [16, 17], dense: 5, pool_time: mean, dense: 3]",
       {1, 4, 4}},
      {"ReshapeToImage", "[dense: 32, relu, reshape: [2, 4, 4], conv: 3, dense: 3]", {5}},
      {"PoolTimeOnInput", "[pool_time: mean, dense: 3]", {4, 5}},
      {"DropoutOnSequence", "[dense: 6, dropout: 0.4, pool_time: mean, dense: 3]", {4, 5}},
      {"BatchNormOnSequence", "[dense: 6, batch_norm, relu, pool_time: last, dense: 3]", {4, 5}},
      {"ResidualOnSequence", "[residual: [dense: 7, gelu, dense: 5], pool_time: mean, dense: 3]", {4, 5}},
      {"ResidualProjectionOnSequence",
       "[residual: [gelu, dense: 7, batch_norm], pool_time: mean, dense: 3]",
       {4, 5}},
      {"LayerNorm", "[layer_norm, dense: 6, layer_norm: {epsilon: 0.01}, relu, dense: 3]", {5}},
      {"LayerNormOnSequence",
       "[dense: 19, layer_norm, gelu, residual: [layer_norm, dense: 19], pool_time: mean, dense: 3]",
       {4, 5}},
      {"Lstm", "[lstm: 6, pool_time: last, dense: 3]", {5, 4}},
      {"LstmOverAnother", "[lstm: 6, lstm: 5, flatten, dense: 3]", {4, 3}},
      {"LstmOfOnePosition", "[dense: 3, lstm: 4, flatten, dense: 3]", {1, 4}},
      {"LstmInManyUnits", "[lstm: 18, pool_time: mean, dense: 3]", {3, 17}},
      {"Gru", "[gru: 6, pool_time: last, dense: 3]", {5, 4}},
      {"GruOverAnother", "[gru: 6, tanh, gru: 5, flatten, dense: 3]", {4, 3}},
      {"GruOfOnePosition", "[dense: 3, gru: 4, flatten, dense: 3]", {1, 4}},
      {"ResidualLstm",
       "[dense: 4, residual: [layer_norm, lstm: 4], residual: [gru: 5], pool_time: last, dense: 3]",
       {4, 3}},
      {"Attention", "[attention: 2, pool_time: mean, dense: 3]", {4, 6}},
      {"AttentionCausal",
       "[dense: 8, attention: {heads: 2, causal: true}, pool_time: last, dense: 3]",
       {5, 4}},
      {"AttentionOfLargeHeads",
       "[dense: 16, attention: {heads: 2, causal: true}, attention: {heads: 2}, pool_time: mean, dense: 3]",
       {5, 4}},
      {"AttentionOfOneHead", "[dense: 5, attention: {heads: 1}, flatten, dense: 3]", {3, 4}},
      {"Conv1d",
       "[conv1d: 6, relu, conv1d: {filters: 4, kernel: 2, padding: 1, stride: 2}, flatten, dense: 3]",
       {5, 4}},
      {"Conv1dCausal",
       "[conv1d: {filters: 5, kernel: 4, causal: true, bias: false}, gelu, conv1d: {filters: 3, kernel: 1}, "
       "pool_time: last, dense: 3]",
       {5, 4}},
      {"Conv1dValid", "[conv1d: {filters: 5, kernel: 3, padding: valid}, pool_time: mean, dense: 3]", {6, 2}},
      {"PositionEmbedding",
       "[position_embedding, dense: 5, position_embedding, residual: [position_embedding, dense: 5], "
       "flatten, dense: 3]",
       {3, 4}},
      {"Embedding", "[embedding: {vocabulary: 7, units: 5}, pool_time: mean, dense: 3]", {4}, 3, true, 1, 7},
      {"LabelsOfASequence", "[dense: 6, relu, dense: 3]", {4, 5}, 3, true, 4},
      {"LanguageModelOfLstm",
       "[embedding: {vocabulary: 9, units: 5}, lstm: 6, dropout: 0.2, dense: 9]",
       {4},
       9,
       true,
       4,
       9},
      {"LanguageModelOfAttention",
       "[embedding: {vocabulary: 9, units: 8}, position_embedding, repeat: {times: 2, layers: [residual: "
       "[layer_norm, attention: {heads: 2, causal: true}], residual: [layer_norm, dense: 12, gelu, dense: "
       "8]]}, "
       "layer_norm, dense: 9]",
       {4},
       9,
       true,
       4,
       9},
      {"Repeat",
       "[dense: 5, repeat: {times: 2, layers: [relu, residual: [dense: 5], repeat: {times: 2, layers: "
       "[dense: 5]}]}, "
       "dense: 3]",
       {4}},
      {"ResidualDropoutFirst", "[dense: 5, relu, residual: [dropout: 0.5, dense: 5], dense: 3]", {4}},
  };
  return cases;
}

}  // namespace regatta
