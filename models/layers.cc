// Reads model.layers: a table from a layer's name to the reader of its options.
#include "models/layers.h"

#include <fmt/format.h>

#include <array>
#include <map>

#include "base/text.h"
#include "experiment/section.h"
#include "models/layer_options.h"

namespace regatta {
namespace {

constexpr int kDeepestNesting = 16;
constexpr std::int64_t kMostRepeats = 1'000;
constexpr std::size_t kMostLayers = 10'000;

Result<What> read_dense(const Node& node) {
  Options options(node, "dense", "units");
  Dense dense;
  dense.units = options->integer("units", {.min = 1, .max = kLargestWidth});
  dense.bias = options->flag("bias", true);
  return options.finish(dense);
}

Result<What> read_conv(const Node& node) {
  Options options(node, "conv", "filters");
  Conv conv;
  conv.filters = options->integer("filters", {.min = 1, .max = kLargestWidth});
  conv.kernel = options->integer("kernel", {.fallback = 3, .min = 1, .max = kLargestWindow});
  conv.stride = options->integer("stride", {.fallback = 1, .min = 1, .max = kLargestWindow});
  conv.bias = options->flag("bias", true);
  conv.groups = options->integer("groups", {.fallback = 1, .min = 1, .max = kLargestWidth});
  if (conv.filters % conv.groups != 0) {
    options->mistake(options->child("groups")->place(),
                     fmt::format("{} filters cannot be split into {} groups; make `filters` a multiple of "
                                 "`groups`",
                                 conv.filters, conv.groups));
  }
  if (const auto padding =
          options->take(read_padding(options->child("padding"), node.place(), conv.kernel))) {
    conv.padding = *padding;
  }
  return options.finish(conv);
}

Result<What> read_depthwise(const Node& node) {
  Options options(node, "depthwise", "kernel");
  Depthwise depthwise;
  depthwise.kernel = options->integer("kernel", {.fallback = 3, .min = 1, .max = kLargestWindow});
  depthwise.stride = options->integer("stride", {.fallback = 1, .min = 1, .max = kLargestWindow});
  depthwise.bias = options->flag("bias", true);
  depthwise.multiplier = options->integer("multiplier", {.fallback = 1, .min = 1, .max = kLargestWindow});
  if (const auto padding =
          options->take(read_padding(options->child("padding"), node.place(), depthwise.kernel))) {
    depthwise.padding = *padding;
  }
  return options.finish(depthwise);
}

template <Pool::Kind kind>
Result<What> read_pool(const Node& node) {
  Options options(node, kind == Pool::Kind::max ? "max_pool" : "average_pool", "size");
  Pool pool{.kind = kind};
  pool.size = options->integer("size", {.fallback = 2, .min = 1, .max = kLargestWindow});
  pool.stride = options->integer("stride", {.fallback = pool.size, .min = 1, .max = kLargestWindow});
  return options.finish(pool);
}

Result<What> read_global_pool(const Node& node) {
  Options options(node, "global_pool", "kind");
  const std::string kind = options->choice("kind", {"average", "max"}, "average");
  return options.finish(GlobalPool{kind == "max" ? Pool::Kind::max : Pool::Kind::average});
}

Result<What> read_dropout(const Node& node) {
  Options options(node, "dropout", "rate");
  Dropout dropout;
  dropout.rate = options->number("rate", {.fallback = 0.5, .min = 0, .max = 1, .max_excluded = true});
  return options.finish(dropout);
}

Result<What> read_batch_norm(const Node& node) {
  Section section(node, "batch_norm");
  BatchNorm norm;
  norm.momentum = section.number("momentum", {.fallback = 0.1, .min = 0, .max = 1, .min_excluded = true});
  norm.epsilon = section.number("epsilon", {.fallback = 1e-5, .min = 0, .min_excluded = true});
  RETURN_IF_ERROR(section.finish());
  return What(norm);
}

// A layer without options.
template <auto kWhat>
Result<What> read_plain(const Node& node) {
  if (!node.is_null()) {
    return mistake_at(node.place(), "this layer has no options; write its name alone");
  }
  return What(kWhat);
}

Result<What> read_residual(const Node& node);  // its body is a list of layers again

struct LayerKind {
  std::string_view name;
  Result<What> (*read)(const Node& options);
};
constexpr std::array kLayerKinds = {
    LayerKind{"dense", read_dense},
    LayerKind{"conv", read_conv},
    LayerKind{"depthwise", read_depthwise},
    LayerKind{"max_pool", read_pool<Pool::Kind::max>},
    LayerKind{"average_pool", read_pool<Pool::Kind::average>},
    LayerKind{"global_pool", read_global_pool},
    LayerKind{"relu", read_plain<Activation{Activation::Kind::relu}>},
    LayerKind{"gelu", read_plain<Activation{Activation::Kind::gelu}>},
    LayerKind{"tanh", read_plain<Activation{Activation::Kind::tanh}>},
    LayerKind{"sigmoid", read_plain<Activation{Activation::Kind::sigmoid}>},
    LayerKind{"flatten", read_plain<Flatten{}>},
    LayerKind{"dropout", read_dropout},
    LayerKind{"batch_norm", read_batch_norm},
    LayerKind{"residual", read_residual},
    LayerKind{"reshape", read_reshape},
    LayerKind{"pool_time", read_time_pool},
    LayerKind{"layer_norm", read_layer_norm},
    LayerKind{"embedding", read_embedding},
    LayerKind{"position_embedding", read_plain<PositionEmbedding{}>},
    LayerKind{"attention", read_attention},
    LayerKind{"lstm", read_lstm},
    LayerKind{"gru", read_gru},
    LayerKind{"conv1d", read_conv1d},
};

Result<const LayerKind*> find_kind(const std::string& name, const Place& place) {
  std::vector<std::string> names;
  for (const LayerKind& kind : kLayerKinds) {
    if (kind.name == name) {
      return &kind;
    }
    names.emplace_back(kind.name);
  }
  names.emplace_back("repeat");
  return mistake_at(place, fmt::format("there is no layer '{}'{}; layers are {}", name,
                                       did_you_mean(name, names), one_of(names)));
}

Result<Layer> read_layer(const Node& item) {
  if (item.is_scalar()) {
    ASSIGN_OR_RETURN(const LayerKind* kind, find_kind(item.text(), item.place()));
    ASSIGN_OR_RETURN(What what, kind->read(Node::null(item.place())));
    return Layer{.what = std::move(what), .place = item.place(), .name = std::string(kind->name)};
  }
  if (!item.is_map() || item.entries().size() != 1) {
    return mistake_at(item.place(),
                      fmt::format("expected a layer, such as `- relu` or `- dense: 128`, not {}",
                                  item.is_map() && item.entries().size() > 1 ? "a map of several keys"
                                                                             : std::string(item.describe())));
  }
  const Node::Entry& entry = item.entries().front();
  ASSIGN_OR_RETURN(const LayerKind* kind, find_kind(entry.key, entry.key_place));
  ASSIGN_OR_RETURN(What what, kind->read(entry.value));
  return Layer{.what = std::move(what), .place = entry.key_place, .name = std::string(kind->name)};
}

Status append_layer(const Node& item, std::vector<Layer>& layers);

Result<std::vector<Layer>> read_list(const Node& node) {
  if (!node.is_sequence() || node.items().empty()) {
    return mistake_at(node.place(),
                      fmt::format("expected a list of layers, not {}",
                                  node.is_sequence() ? "an empty list" : std::string(node.describe())));
  }
  std::vector<Layer> layers;
  for (const Node& item : node.items()) {
    RETURN_IF_ERROR(append_layer(item, layers));
  }
  return layers;
}

std::size_t count_layers(const std::vector<Layer>& layers) {
  std::size_t count = layers.size();
  for (const Layer& layer : layers) {
    if (const auto* residual = std::get_if<Residual>(&layer.what)) {
      count += count_layers(residual->body);
    }
  }
  return count;
}

// `repeat` is no layer, but a way to write many.
Status append_repeated(const Node& options, std::vector<Layer>& layers) {
  Section section(options, "repeat");
  const std::int64_t times = section.integer("times", {.min = 1, .max = kMostRepeats});
  std::vector<Layer> body;
  if (const Node* list = section.required_child("layers")) {
    body = section.take(read_list(*list)).value_or(std::vector<Layer>());
  }
  RETURN_IF_ERROR(section.finish());
  if (static_cast<std::size_t>(times) * count_layers(body) > kMostLayers) {
    return mistake_at(options.place(),
                      fmt::format("these are more than {} layers; repeat fewer", kMostLayers));
  }
  for (std::int64_t i = 0; i < times; ++i) {
    layers.insert(layers.end(), body.begin(), body.end());
  }
  return {};
}

Status append_layer(const Node& item, std::vector<Layer>& layers) {
  if (item.is_map() && item.entries().size() == 1 && item.entries().front().key == "repeat") {
    return append_repeated(item.entries().front().value, layers);
  }
  ASSIGN_OR_RETURN(Layer layer, read_layer(item));
  layers.push_back(std::move(layer));
  return {};
}

Result<What> read_residual(const Node& node) {
  if (node.is_sequence()) {
    ASSIGN_OR_RETURN(auto body, read_list(node));
    return What(Residual{.body = std::move(body)});
  }
  Section section(node, "residual");
  Residual residual;
  if (const Node* layers = section.required_child("layers")) {
    if (auto body = section.take(read_list(*layers))) {
      residual.body = *std::move(body);
    }
  }
  RETURN_IF_ERROR(section.finish());
  return What(std::move(residual));
}

// conv → conv1, conv2, …; inside a residual block after the block's own name and a dot.
Status give_names(std::vector<Layer>& layers, const std::string& prefix, int depth) {
  std::map<std::string, int> counts;
  for (Layer& layer : layers) {
    if (depth > kDeepestNesting) {
      return mistake_at(layer.place,
                        fmt::format("residual blocks are nested more than {} deep", kDeepestNesting));
    }
    layer.name = fmt::format("{}{}{}", prefix, layer.name, ++counts[layer.name]);
    if (auto* residual = std::get_if<Residual>(&layer.what)) {
      RETURN_IF_ERROR(give_names(residual->body, layer.name + ".", depth + 1));
    }
  }
  return {};
}

}  // namespace

Conv as_conv(const Depthwise& depthwise, std::int64_t channels) {
  return {.filters = channels * depthwise.multiplier,
          .kernel = depthwise.kernel,
          .stride = depthwise.stride,
          .padding = depthwise.padding,
          .bias = depthwise.bias,
          .groups = channels};
}

Result<std::int64_t> read_padding(const Node* node, const Place& layer_place, std::int64_t kernel) {
  if (node != nullptr && node->is_scalar() && node->text() == "valid") {
    return std::int64_t{0};
  }
  if (node == nullptr || (node->is_scalar() && node->text() == "same")) {
    if (kernel % 2 == 0) {
      return mistake_at(node == nullptr ? layer_place : node->place(),
                        fmt::format("padding `same` needs an odd kernel, and this one has {}; give the "
                                    "padding as a number, or `valid` for none",
                                    kernel));
    }
    return kernel / 2;
  }
  const auto padding = read_integer(*node);
  if (!padding.ok()) {
    return mistake_at(node->place(), "expected `same`, `valid` or a number of zeros on each side");
  }
  if (*padding < 0 || *padding >= kernel) {
    return mistake_at(node->place(),
                      fmt::format("padding must be from 0 to {}: less than the kernel", kernel - 1));
  }
  return *padding;
}

Status name_layers(std::vector<Layer>& layers) { return give_names(layers, "", 0); }

Result<std::vector<Layer>> read_layers(const Node& node) {
  ASSIGN_OR_RETURN(auto layers, read_list(node));
  RETURN_IF_ERROR(name_layers(layers));
  return layers;
}

}  // namespace regatta
