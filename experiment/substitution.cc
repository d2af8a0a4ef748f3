// $name: found, checked, and replaced by a point's value.
#include "experiment/substitution.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/text.h"
#include "experiment/experiment.h"

namespace regatta {
namespace {

// A stretch of a scalar: a text to keep, or a parameter to put in.
struct Piece {
  std::string text;
  std::optional<std::size_t> parameter;
};

bool is_name_part(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Result<std::size_t> parameter_named(const std::string& name, const Space& space, const Place& place) {
  if (const auto index = space.index_of(name)) {
    return *index;
  }
  std::vector<std::string> names;
  for (const Parameter& parameter : space.parameters()) {
    names.push_back(parameter.name);
  }
  return mistake_at(place,
                    fmt::format("'${}' is no parameter of the space{}", name, did_you_mean(name, names)));
}

Result<std::vector<Piece>> split_references(const Node& node, const Space& space) {
  const std::string& text = node.text();
  std::vector<Piece> pieces;
  std::string kept;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '$') {
      kept += text[at++];
      continue;
    }
    if (text.compare(at, 2, "$$") == 0) {
      kept += '$';
      at += 2;
      continue;
    }
    const bool has_brace = text.compare(at, 2, "${") == 0;
    const std::size_t begin = at + (has_brace ? 2 : 1);
    std::size_t end = begin;
    while (end < text.size() && is_name_part(text[end])) {
      ++end;
    }
    const bool is_closed = !has_brace || (end < text.size() && text[end] == '}');
    if (end == begin || !is_closed) {
      return mistake_at(node.place(),
                        fmt::format("expected $name or ${{name}} in '{}'; $$ stands for a dollar", text));
    }
    ASSIGN_OR_RETURN(const std::size_t index,
                     parameter_named(text.substr(begin, end - begin), space, node.place()));
    if (!kept.empty()) {
      pieces.push_back({std::exchange(kept, {}), std::nullopt});
    }
    pieces.push_back({"", index});
    at = end + (has_brace ? 1 : 0);
  }
  if (!kept.empty() || pieces.empty()) {
    pieces.push_back({std::move(kept), std::nullopt});
  }
  return pieces;
}

using Replaced = std::optional<Node>;  // nullopt: it mentions an inactive parameter

Result<Replaced> replace(const Node& node, const Space& space, const Point& point);

Result<Replaced> replace_scalar(const Node& node, const Space& space, const Point& point) {
  if (node.text().find('$') == std::string::npos) {
    return Replaced(node);
  }
  ASSIGN_OR_RETURN(const std::vector<Piece> pieces, split_references(node, space));
  std::string text;
  for (const Piece& piece : pieces) {
    if (!piece.parameter) {
      text += piece.text;
      continue;
    }
    const auto value = space.value(point, *piece.parameter);
    if (!value) {
      return Replaced();
    }
    if (pieces.size() == 1) {
      return Replaced(to_node(*value, node.place()));
    }
    text += plain_text(*value);
  }
  return Replaced(Node::scalar(node.place(), std::move(text), node.quoted()));
}

Result<Replaced> replace(const Node& node, const Space& space, const Point& point) {
  if (node.is_scalar()) {
    return replace_scalar(node, space, point);
  }
  if (node.is_sequence()) {
    std::vector<Node> items;
    for (const Node& item : node.items()) {
      ASSIGN_OR_RETURN(Replaced replaced, replace(item, space, point));
      if (replaced) {
        items.push_back(*std::move(replaced));
      }
    }
    return Replaced(Node::sequence(node.place(), std::move(items)));
  }
  if (node.is_map()) {
    std::vector<Node::Entry> entries;
    for (const Node::Entry& entry : node.entries()) {
      ASSIGN_OR_RETURN(Replaced replaced, replace(entry.value, space, point));
      if (replaced) {
        entries.push_back({entry.key, entry.key_place, *std::move(replaced)});
      }
    }
    return Replaced(Node::map(node.place(), std::move(entries)));
  }
  return Replaced(node);
}

}  // namespace

Status check_references(const Node& node, const Space& space, std::vector<bool>& used) {
  if (node.is_scalar()) {
    ASSIGN_OR_RETURN(const std::vector<Piece> pieces, split_references(node, space));
    for (const Piece& piece : pieces) {
      if (piece.parameter) {
        used[*piece.parameter] = true;
      }
    }
  }
  for (const Node& item : node.items()) {
    RETURN_IF_ERROR(check_references(item, space, used));
  }
  for (const Node::Entry& entry : node.entries()) {
    if (entry.key.find('$') != std::string::npos) {
      return mistake_at(entry.key_place,
                        fmt::format("a $name stands for a value, never for a key such as '{}'", entry.key));
    }
    RETURN_IF_ERROR(check_references(entry.value, space, used));
  }
  return {};
}

Status refuse_references(const Node& node) {
  constexpr std::string_view kMessage = "a $ may stand only under data, model, train and command";
  if (node.is_scalar() && node.text().find('$') != std::string::npos) {
    return mistake_at(node.place(), kMessage);
  }
  for (const Node& item : node.items()) {
    RETURN_IF_ERROR(refuse_references(item));
  }
  for (const Node::Entry& entry : node.entries()) {
    if (entry.key.find('$') != std::string::npos) {
      return mistake_at(entry.key_place, kMessage);
    }
    RETURN_IF_ERROR(refuse_references(entry.value));
  }
  return {};
}

Result<Node> substitute(const Node& node, const Space& space, const Point& point) {
  CHECK(point.size() == space.size());
  ASSIGN_OR_RETURN(Replaced replaced, replace(node, space, point));
  return replaced ? *std::move(replaced) : Node::null(node.place());
}

}  // namespace regatta
