// The tree itself, and the overrides that change it.
#include "experiment/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "experiment/value.h"

namespace regatta {
namespace {

constexpr std::size_t kMaxItemNumber = 9'999'999;
constexpr std::ptrdiff_t kMaxPathDots = 100;

std::optional<std::size_t> item_number(std::string_view text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > kMaxItemNumber) {
    return std::nullopt;
  }
  return number;
}

// Gives the whole subtree one place: a line and column inside "--set KEY=VALUE" would help nobody.
Node with_place(const Node& node, const Place& place) {
  switch (node.kind()) {
    case Node::Kind::null:
      return Node::null(place);
    case Node::Kind::scalar:
      return Node::scalar(place, node.text(), node.quoted());
    case Node::Kind::sequence: {
      std::vector<Node> items;
      for (const Node& item : node.items()) {
        items.push_back(with_place(item, place));
      }
      return Node::sequence(place, std::move(items));
    }
    case Node::Kind::map:
      break;
  }
  std::vector<Node::Entry> entries;
  for (const Node::Entry& entry : node.entries()) {
    entries.push_back({entry.key, place, with_place(entry.value, place)});
  }
  return Node::map(place, std::move(entries));
}

}  // namespace

std::string Place::str() const { return line == 0 ? file : fmt::format("{}:{}:{}", file, line, column); }

Error mistake_at(const Place& place, std::string_view message) {
  std::string sentence = fmt::format("{}: {}", place.str(), message);
  std::replace(sentence.begin(), sentence.end(), '\n', ' ');  // quoted from the file, where texts span lines
  return user_mistake(std::move(sentence));
}

Node::Node(Kind kind, Place place) : kind_(kind), place_(std::move(place)) {}

Node Node::null(Place place) { return Node(Kind::null, std::move(place)); }

Node Node::scalar(Place place, std::string text, bool quoted) {
  Node node(Kind::scalar, std::move(place));
  node.text_ = std::move(text);
  node.quoted_ = quoted;
  return node;
}

Node Node::sequence(Place place, std::vector<Node> items) {
  Node node(Kind::sequence, std::move(place));
  node.items_ = std::move(items);
  return node;
}

Node Node::map(Place place, std::vector<Entry> entries) {
  Node node(Kind::map, std::move(place));
  node.entries_ = std::move(entries);
  return node;
}

std::string_view Node::describe() const {
  switch (kind_) {
    case Kind::null:
      return "nothing";
    case Kind::sequence:
      return "a list";
    case Kind::map:
      return "a map";
    case Kind::scalar:
      break;
  }
  const Value value = value_of_scalar(text_, quoted_);
  if (std::holds_alternative<std::string>(value)) {
    return "a text";
  }
  if (std::holds_alternative<bool>(value)) {
    return "true or false";
  }
  return std::holds_alternative<std::nullptr_t>(value) ? "nothing" : "a number";
}

const Node* Node::find(std::string_view key) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
  return found == entries_.end() ? nullptr : &found->value;
}

Status Node::set(std::string_view dotted_path, Node value) {
  if (std::count(dotted_path.begin(), dotted_path.end(), '.') > kMaxPathDots) {
    return mistake_at(value.place(), fmt::format("expected a path of at most {} dots", kMaxPathDots));
  }
  Node* node = this;
  std::size_t begin = 0;
  while (begin <= dotted_path.size()) {
    const std::size_t end = std::min(dotted_path.find('.', begin), dotted_path.size());
    const std::string key(dotted_path.substr(begin, end - begin));
    const std::string_view parent = begin == 0 ? "the experiment" : dotted_path.substr(0, begin - 1);
    if (key.empty()) {
      return mistake_at(value.place(), "expected keys with a dot between them, such as train.batch_size");
    }
    if (node->is_null()) {
      *node = Node::map(value.place(), {});
    }
    if (node->is_map()) {
      const auto found = std::find_if(node->entries_.begin(), node->entries_.end(),
                                      [&](const Entry& entry) { return entry.key == key; });
      if (found != node->entries_.end()) {
        node = &found->value;
      } else {
        node->entries_.push_back({key, value.place(), Node::null(value.place())});
        node = &node->entries_.back().value;
      }
    } else if (node->is_sequence()) {
      const auto number = item_number(key);
      if (!number || *number >= node->items_.size()) {
        return mistake_at(value.place(),
                          fmt::format("'{}' is a list of {} items, counted from 0; it has no '{}'", parent,
                                      node->items_.size(), key));
      }
      node = &node->items_[*number];
    } else {
      return mistake_at(value.place(),
                        fmt::format("'{}' is {}, not a map, and has no '{}'", parent, node->describe(), key));
    }
    begin = end + 1;
  }
  *node = std::move(value);
  return {};
}

Status apply_override(Node& root, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return user_mistake(fmt::format("--set {}: expected KEY=VALUE, such as train.batch_size=64", assignment));
  }
  const std::string key(assignment.substr(0, equals));
  const Place place{.file = "--set " + key};
  ASSIGN_OR_RETURN(const Node value, parse_yaml(assignment.substr(equals + 1), place.file));
  return root.set(key, with_place(value, place));
}

}  // namespace regatta
