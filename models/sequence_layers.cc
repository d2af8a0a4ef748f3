// Readers of the layers of sequences.
#include <fmt/format.h>

#include "models/layer_options.h"

namespace regatta {

Result<What> read_reshape(const Node& node) {
  constexpr std::size_t kMostSizes = 3;
  if (!node.is_sequence() || node.items().empty() || node.items().size() > kMostSizes) {
    return mistake_at(
        node.place(),
        "expected the sizes of the new shape, such as `reshape: [28, 28]` for 28 positions of 28 "
        "features");
  }
  Reshape reshape;
  for (const Node& item : node.items()) {
    const auto size = read_integer(item);
    if (!size.ok() || *size < 1 || *size > kLargestWidth) {
      return mistake_at(item.place(), fmt::format("expected a size from 1 to {}", kLargestWidth));
    }
    reshape.shape.push_back(*size);
  }
  return What(std::move(reshape));
}

Result<What> read_time_pool(const Node& node) {
  Options options(node, "pool_time", "kind");
  TimePool pool;
  if (options->choice("kind", {"last", "mean"}) == "mean") {
    pool.kind = TimePool::Kind::mean;
  }
  return options.finish(pool);
}

Result<What> read_layer_norm(const Node& node) {
  Section section(node, "layer_norm");
  LayerNorm norm;
  norm.epsilon = section.number("epsilon", {.fallback = norm.epsilon, .min = 0, .min_excluded = true});
  RETURN_IF_ERROR(section.finish());
  return What(norm);
}

Result<What> read_embedding(const Node& node) {
  // A float holds every whole number up to here exactly.
  constexpr std::int64_t kLargestVocabulary = std::int64_t{1} << 24;
  Section section(node, "embedding");
  Embedding embedding;
  embedding.vocabulary = section.integer("vocabulary", {.min = 1, .max = kLargestVocabulary});
  embedding.units = section.integer("units", {.min = 1, .max = kLargestWidth});
  RETURN_IF_ERROR(section.finish());
  return What(embedding);
}

Result<What> read_attention(const Node& node) {
  Options options(node, "attention", "heads");
  Attention attention;
  attention.heads = options->integer("heads", {.min = 1, .max = kLargestWidth});
  attention.causal = options->flag("causal", false);
  return options.finish(attention);
}

namespace {

Result<What> read_recurrent(const Node& node, Recurrent::Kind kind) {
  Options options(node, kind == Recurrent::Kind::lstm ? "lstm" : "gru", "units");
  Recurrent recurrent{.kind = kind};
  recurrent.units = options->integer("units", {.min = 1, .max = kLargestWidth});
  return options.finish(recurrent);
}

}  // namespace

Result<What> read_lstm(const Node& node) { return read_recurrent(node, Recurrent::Kind::lstm); }
Result<What> read_gru(const Node& node) { return read_recurrent(node, Recurrent::Kind::gru); }

Result<What> read_conv1d(const Node& node) {
  Options options(node, "conv1d", "filters");
  Conv1d conv;
  conv.filters = options->integer("filters", {.min = 1, .max = kLargestWidth});
  conv.kernel = options->integer("kernel", {.fallback = 3, .min = 1, .max = kLargestWindow});
  conv.stride = options->integer("stride", {.fallback = 1, .min = 1, .max = kLargestWindow});
  conv.bias = options->flag("bias", true);
  const Node* padding = options->child("padding");
  if (options->flag("causal", false)) {
    conv.zeros_before = conv.kernel - 1;
    if (padding != nullptr) {
      options->mistake(padding->place(), "`causal` already says where the zeros go; leave `padding` out");
    }
  } else if (const auto zeros = options->take(read_padding(padding, node.place(), conv.kernel))) {
    conv.zeros_before = conv.zeros_after = *zeros;
  }
  return options.finish(conv);
}

}  // namespace regatta
