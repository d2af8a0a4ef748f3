// The sections as YAML, with a lane's own settings taken out. A setting that is not known here keeps trials
// apart, which is slower but never wrong.
#include "worker/shape_key.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "worker/plan.h"

namespace regatta {
namespace {

constexpr std::array<std::string_view, 2> kLanesOwn = {"schedule", "early_stopping"};

bool is_dropout_layer(const Node& layer) {
  return layer.is_map() && layer.entries().size() == 1 && layer.entries().front().key == "dropout";
}

// Every dropout layer of a list of layers, at any depth, without its rate.
Node without_dropout_rates(const Node& node) {
  if (node.is_sequence()) {
    std::vector<Node> items;
    for (const Node& item : node.items()) {
      items.push_back(is_dropout_layer(item) ? Node::scalar(item.place(), "dropout", false)
                                             : without_dropout_rates(item));
    }
    return Node::sequence(node.place(), std::move(items));
  }
  if (node.is_map()) {
    std::vector<Node::Entry> entries = node.entries();
    for (Node::Entry& entry : entries) {
      entry.value = without_dropout_rates(entry.value);
    }
    return Node::map(node.place(), std::move(entries));
  }
  return node;
}

// The kind decides which moments the ranks share.
Node kind_of_optimizer(const Node& optimizer) {
  const Node* kind = optimizer.find("type");
  return kind != nullptr ? *kind : optimizer.is_map() ? Node::null(optimizer.place()) : optimizer;
}

Node without_lanes_own(const Node& train) {
  if (!train.is_map()) {
    return train;
  }
  std::vector<Node::Entry> entries = train.entries();
  std::erase_if(entries, [](const Node::Entry& entry) {
    return std::ranges::find(kLanesOwn, entry.key) != kLanesOwn.end();
  });
  for (Node::Entry& entry : entries) {
    if (entry.key == "optimizer") {
      entry.value = kind_of_optimizer(entry.value);
    }
  }
  return Node::map(train.place(), std::move(entries));
}

}  // namespace

Result<std::string> shape_key(const Experiment& experiment, const Point& point) {
  ASSIGN_OR_RETURN(const Node data, section_at(experiment, "data", point));
  ASSIGN_OR_RETURN(const Node model, section_at(experiment, "model", point));
  ASSIGN_OR_RETURN(const Node train, section_at(experiment, "train", point));
  return to_yaml(data) + "\n" + to_yaml(without_dropout_rates(model)) + "\n" +
         to_yaml(without_lanes_own(train));
}

}  // namespace regatta
