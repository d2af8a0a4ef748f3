// One function a kind of layer: a kind that is forgotten here does not compile.
#include "worker/network_json.h"

#include <map>
#include <utility>

namespace regatta {
namespace {

using nlohmann::ordered_json;

// What a layer is called, and its options.
using Described = std::pair<const char*, ordered_json>;

ordered_json fields(std::initializer_list<ordered_json::object_t::value_type> values) {
  return ordered_json(ordered_json::object_t(values));
}

Described describe(const Dense& dense) {
  return {"dense", fields({{"units", dense.units}, {"bias", dense.bias}})};
}

Described describe(const Conv& conv) {
  return {"conv", fields({{"filters", conv.filters},
                          {"kernel", conv.kernel},
                          {"stride", conv.stride},
                          {"padding", conv.padding},
                          {"bias", conv.bias},
                          {"groups", conv.groups}})};
}

Described describe(const Depthwise& depthwise) {
  return {"depthwise", fields({{"kernel", depthwise.kernel},
                               {"stride", depthwise.stride},
                               {"padding", depthwise.padding},
                               {"bias", depthwise.bias},
                               {"multiplier", depthwise.multiplier}})};
}

Described describe(const Pool& pool) {
  return {pool.kind == Pool::Kind::max ? "max_pool" : "average_pool",
          fields({{"size", pool.size}, {"stride", pool.stride}})};
}

Described describe(const GlobalPool& pool) {
  return {"global_pool", fields({{"kind", pool.kind == Pool::Kind::max ? "max" : "average"}})};
}

Described describe(const Activation& activation) {
  switch (activation.kind) {
    case Activation::Kind::relu:
      return {"relu", fields({})};
    case Activation::Kind::gelu:
      return {"gelu", fields({})};
    case Activation::Kind::tanh:
      return {"tanh", fields({})};
    case Activation::Kind::sigmoid:
      break;
  }
  return {"sigmoid", fields({})};
}

Described describe(const Flatten&) { return {"flatten", fields({})}; }

Described describe(const Reshape& reshape) { return {"reshape", fields({{"shape", reshape.shape}})}; }

Described describe(const TimePool& pool) {
  return {"pool_time", fields({{"kind", pool.kind == TimePool::Kind::last ? "last" : "mean"}})};
}

Described describe(const LayerNorm& norm) { return {"layer_norm", fields({{"epsilon", norm.epsilon}})}; }

Described describe(const Embedding& embedding) {
  return {"embedding", fields({{"vocabulary", embedding.vocabulary}, {"units", embedding.units}})};
}

Described describe(const PositionEmbedding&) { return {"position_embedding", fields({})}; }

Described describe(const Attention& attention) {
  return {"attention", fields({{"heads", attention.heads}, {"causal", attention.causal}})};
}

Described describe(const Recurrent& recurrent) {
  return {recurrent.kind == Recurrent::Kind::lstm ? "lstm" : "gru", fields({{"units", recurrent.units}})};
}

Described describe(const Conv1d& conv) {
  return {"conv1d", fields({{"filters", conv.filters},
                            {"kernel", conv.kernel},
                            {"stride", conv.stride},
                            {"zeros_before", conv.zeros_before},
                            {"zeros_after", conv.zeros_after},
                            {"bias", conv.bias}})};
}

Described describe(const Dropout& dropout) { return {"dropout", fields({{"rate", dropout.rate}})}; }

Described describe(const BatchNorm& norm) {
  return {"batch_norm", fields({{"momentum", norm.momentum}, {"epsilon", norm.epsilon}})};
}

class Describer {
 public:
  explicit Describer(const Network& network) {
    for (const PlannedLayer& planned : network.summary) {
      planned_.emplace(planned.layer.name, &planned);
    }
  }

  ordered_json list(const std::vector<Layer>& layers) const {
    ordered_json list = ordered_json::array();
    for (const Layer& layer : layers) {
      auto [kind, options] = std::visit([this](const auto& what) { return described(what); }, layer.what);
      const PlannedLayer& planned = *planned_.at(layer.name);
      ordered_json entry = {{"layer", kind}, {"name", layer.name}};
      entry.update(options);
      entry["input"] = planned.input;
      entry["output"] = planned.output;
      list.push_back(std::move(entry));
    }
    return list;
  }

 private:
  template <class T>
  Described described(const T& what) const {
    return describe(what);
  }
  Described described(const Residual& residual) const {
    return {"residual", fields({{"body", list(residual.body)}, {"shortcut", list(residual.shortcut)}})};
  }

  std::map<std::string, const PlannedLayer*> planned_;
};

}  // namespace

ordered_json describe_layers(const Network& network) { return Describer(network).list(network.layers); }

}  // namespace regatta
