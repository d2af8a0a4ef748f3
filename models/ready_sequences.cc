// Ready networks of sequences.
#include <fmt/format.h>

#include "models/layer_options.h"
#include "models/ready_networks.h"

namespace regatta {
namespace {

bool is_text(const ModelInput& input) { return input.positions > 1; }

Layer inner(std::string_view kind, const Place& place, decltype(Layer::what) what) {
  return {.what = std::move(what), .place = place, .name = std::string(kind)};
}

}  // namespace

// Images of one channel are read row by row; a text is told at each position.
void build_lstm(Section& options, const ModelInput& input, LayerList& layers) {
  const std::int64_t depth = options.integer("layers", {.fallback = 1, .min = 1, .max = kMostReadyLayers});
  const std::int64_t width = options.integer("width", {.fallback = 128, .min = 1, .max = kLargestWidth});
  const double dropout =
      options.number("dropout", {.fallback = 0.0, .min = 0, .max = 1, .max_excluded = true});
  const Shape& sample = input.sample_shape;
  if (is_text(input)) {
    layers.add("embedding", Embedding{.vocabulary = input.outputs, .units = width});
  } else if (sample.size() == 3 && sample[0] == 1) {
    layers.add("reshape", Reshape{{sample[1], sample[2]}});
  } else if (sample.size() != 2) {
    options.mistake(layers.place(),
                    fmt::format("lstm reads texts, sequences and images of one channel, and a sample "
                                "is {}; give `layers:`, with `reshape`",
                                describe(sample)));
  }
  for (std::int64_t i = 0; i < depth; ++i) {
    layers.add("lstm", Recurrent{.kind = Recurrent::Kind::lstm, .units = width});
    if (dropout > 0) {
      layers.add("dropout", Dropout{dropout});
    }
  }
  if (!is_text(input)) {
    layers.add("pool_time", TimePool{TimePool::Kind::last});
  }
  layers.add("dense", Dense{.units = input.outputs});
}

// Radford et al. 2019 (GPT-2): normalisation before each block and behind the last, gelu, learned positions.
void build_gpt(Section& options, const ModelInput& input, LayerList& layers) {
  const std::int64_t depth = options.integer("depth", {.fallback = 4, .min = 1, .max = kMostReadyLayers});
  const std::int64_t width = options.integer("width", {.fallback = 128, .min = 1, .max = kLargestWidth / 4});
  const std::int64_t heads = options.integer("heads", {.fallback = 4, .min = 1, .max = kLargestWidth});
  const double dropout =
      options.number("dropout", {.fallback = 0.0, .min = 0, .max = 1, .max_excluded = true});
  const Place& place = layers.place();
  if (!is_text(input)) {
    options.mistake(place, "gpt continues texts; give `data: {format: text, …}`");
  }
  layers.add("embedding", Embedding{.vocabulary = input.outputs, .units = width});
  layers.add("position_embedding", PositionEmbedding{});
  for (std::int64_t i = 0; i < depth; ++i) {
    Residual attention;
    attention.body.push_back(inner("layer_norm", place, LayerNorm{}));
    attention.body.push_back(inner("attention", place, Attention{.heads = heads, .causal = true}));
    Residual feed_forward;
    feed_forward.body.push_back(inner("layer_norm", place, LayerNorm{}));
    feed_forward.body.push_back(inner("dense", place, Dense{.units = 4 * width}));
    feed_forward.body.push_back(inner("gelu", place, Activation{Activation::Kind::gelu}));
    feed_forward.body.push_back(inner("dense", place, Dense{.units = width}));
    for (Residual* block : {&attention, &feed_forward}) {
      if (dropout > 0) {
        block->body.push_back(inner("dropout", place, Dropout{dropout}));
      }
      layers.add("residual", std::move(*block));
    }
  }
  layers.add("layer_norm", LayerNorm{});
  layers.add("dense", Dense{.units = input.outputs});
}

}  // namespace regatta
