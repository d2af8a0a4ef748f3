// How the readers of layers read their options, and the readers that stand in files of their own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "experiment/section.h"
#include "models/layers.h"

namespace regatta {

using What = decltype(Layer::what);

// Units, filters: keeps every product of sizes within 64 bits.
inline constexpr std::int64_t kLargestWidth = 1'000'000;
inline constexpr std::int64_t kLargestWindow = 1'000;

// Options may be one number, as in `dense: 128`, that stands for the key in `number_key`.
class Options {
 public:
  Options(const Node& node, std::string_view layer, std::string_view number_key)
      : node_(node.is_scalar() ? as_map(node, number_key) : node), section_(node_, std::string(layer)) {}
  Options(const Options&) = delete;
  Section* operator->() { return &section_; }

  template <class T>
  Result<What> finish(T what) {
    RETURN_IF_ERROR(section_.finish());
    return What(std::move(what));
  }

 private:
  static Node as_map(const Node& node, std::string_view key) {
    return Node::map(node.place(), {{.key = std::string(key), .key_place = node.place(), .value = node}});
  }
  Node node_;
  Section section_;
};

// Layers of sequences.
Result<What> read_reshape(const Node& node);
Result<What> read_time_pool(const Node& node);
Result<What> read_layer_norm(const Node& node);
Result<What> read_embedding(const Node& node);
Result<What> read_attention(const Node& node);
Result<What> read_lstm(const Node& node);
Result<What> read_gru(const Node& node);
Result<What> read_conv1d(const Node& node);

// `same`, `valid` or a number of zeros on each side; `node` may be absent, which means `same`.
Result<std::int64_t> read_padding(const Node* node, const Place& layer_place, std::int64_t kernel);

}  // namespace regatta
