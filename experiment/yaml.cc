// YAML text to tree and back. yaml-cpp finds the tokens; its events build our tree, because its own nodes
// forget duplicate keys and where an anchor came from.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "base/text.h"
#include "experiment/node.h"
#include "experiment/value.h"

namespace regatta {
namespace {

// Aliases can make a tree that is exponentially larger than its text ("billion laughs").
constexpr std::size_t kMaxNodes = 1'000'000;
// Trees are walked by recursion; yaml-cpp bounds the depth of the text alone.
constexpr std::size_t kMaxDepth = 500;
// YAML allows 1024 characters for a key that nothing announces.
constexpr std::size_t kMaxPlainKeyBytes = 1000;

struct Extent {
  std::size_t nodes = 1;
  std::size_t depth = 1;

  void add_child(const Extent& child) {
    nodes += child.nodes;
    depth = std::max(depth, child.depth + 1);
  }
};

Extent extent_of(const Node& node) {
  Extent extent;
  for (const Node& item : node.items()) {
    extent.add_child(extent_of(item));
  }
  for (const Node::Entry& entry : node.entries()) {
    extent.add_child(extent_of(entry.value));
  }
  return extent;
}

// The source by lines: what yaml-cpp lets pass or tells badly is looked up there.
class Source {
 public:
  explicit Source(std::string_view text) : text_(text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] == '\n') {
        starts_.push_back(at + 1);
      }
    }
  }

  // From a place, both counted from 0, to the end of the text.
  std::string_view from(int line, int column) const {
    const auto index = static_cast<std::size_t>(line);
    const std::size_t start = index < starts_.size() ? starts_[index] : text_.size();
    return text_.substr(std::min(start + static_cast<std::size_t>(column), text_.size()));
  }

  // The column, from 0, of a tab in the indentation of the line.
  std::optional<int> tab_in_indentation(int line) const {
    const std::string_view rest = from(line, 0);
    const std::size_t tab = rest.find_first_not_of(' ');
    return tab != std::string_view::npos && rest[tab] == '\t' ? std::optional(static_cast<int>(tab))
                                                              : std::nullopt;
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_ = {0};
};

// Whether a text that begins with a quote has its closing one. yaml-cpp 0.7 takes the end of the file for it.
bool is_closed(std::string_view text) {
  const char quote = text[0];
  for (std::size_t at = 1; at < text.size(); ++at) {
    const bool is_pair = quote == '"' ? text[at] == '\\' : text.substr(at, 2) == "''";
    if (text[at] == quote && !is_pair) {
      return true;
    }
    at += is_pair ? 1 : 0;
  }
  return false;
}

// yaml-cpp's messages speak of its parser; the frequent ones are put into the user's terms.
std::string in_users_terms(const std::string& message) {
  namespace msg = YAML::ErrorMsg;
  static const std::map<std::string, std::string> kExplained = {
      {msg::END_OF_MAP_FLOW, "expected ',' or '}' to go on with or end the map that '{' began"},
      {msg::END_OF_SEQ_FLOW, "expected ',' or ']' to go on with or end the list that '[' began"},
      {msg::END_OF_MAP, "expected a key in line with the keys above"},
      {msg::END_OF_SEQ, "expected '- ' in line with the items above"},
      {msg::MAP_VALUE, "a ':' cannot stand here; is the indentation right, or does a text need quotes?"},
      {msg::MAP_KEY, "a key cannot stand here; is the indentation right?"},
      {msg::BLOCK_ENTRY, "a list item cannot stand here; is the indentation right?"},
      {msg::FLOW_END, "a closing bracket stands here without its opening one"},
      {msg::EOF_IN_SCALAR, "the closing quote of a text is missing"},
      {msg::DOC_IN_SCALAR, "the document ends inside a quoted text"},
      {msg::UNKNOWN_TOKEN, "a text cannot begin with this character; put it in quotes"},
      {msg::UNKNOWN_ANCHOR, "this alias names no anchor (&name) above it"},
  };
  const auto found = kExplained.find(message);
  return found == kExplained.end() ? message : found->second;
}

// Builds the tree from the parser's events. A mistake leaves by yaml-cpp's own exception, so that syntax and
// structure take one way out.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string file, std::string_view text)
      : file_(std::move(file)), source_(text), root_(Node::null({.file = file_})) {}

  Node take_root() { return std::move(root_); }

  Place place_of(const YAML::Mark& mark) const {
    return mark.is_null() ? Place{.file = file_} : Place{file_, mark.line + 1, mark.column + 1};
  }

  Error explain(const YAML::Exception& exception) const {
    YAML::Mark mark = exception.mark;
    if (const auto tab = mark.is_null() ? std::nullopt : source_.tab_in_indentation(mark.line)) {
      mark.column = *tab;
      return mistake_at(place_of(mark), "expected spaces, not a tab: YAML does not indent with tabs");
    }
    std::string message = in_users_terms(exception.msg);
    const bool is_flow =
        exception.msg == YAML::ErrorMsg::END_OF_MAP_FLOW || exception.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW;
    if (is_flow && !open_.empty()) {
      const YAML::Mark& bracket = open_.back().mark;
      if (std::pair(mark.line, mark.column) < std::pair(bracket.line, bracket.column)) {
        mark = bracket;  // at the end of the file yaml-cpp has lost its place
      }
      message += fmt::format(" in line {}", open_.back().mark.line + 1);
    }
    return mistake_at(place_of(mark), message);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      refuse(mark, "expected nothing after the end of the YAML document; is the indentation right?");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    count(mark, 1);
    add(mark, anchor, Node::null(place_of(mark)), true);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      refuse(mark, "an alias cannot stand inside the value that it names");
    }
    const Extent extent = extent_of(found->second);
    count(mark, extent.nodes);
    if (open_.size() + extent.depth > kMaxDepth) {
      refuse(mark, fmt::format("expected at most {} levels, with aliases followed", kMaxDepth));
    }
    add(mark, 0, found->second, false);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!quoted) {
      refuse_tag(mark, tag);
    }
    if (std::holds_alternative<std::nullptr_t>(value_of_scalar(value, quoted))) {
      OnNull(mark, anchor);
      return;
    }
    if (const std::string_view rest = source_.from(mark.line, mark.column);
        quoted && (rest.starts_with('"') || rest.starts_with('\'')) && !is_closed(rest)) {
      refuse(mark, "the closing quote of this text is missing");
    }
    count(mark, 1);
    add(mark, anchor, Node::scalar(place_of(mark), value, quoted), !quoted);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node::Kind kind;
    YAML::Mark mark;
    YAML::anchor_t anchor;
    std::vector<Node> items;
    std::vector<Node::Entry> entries;
    std::map<std::string, Place> keys;  // for duplicates
    std::optional<std::string> key;     // read, its value is still to come
    Place key_place;
  };

  [[noreturn]] static void refuse(const YAML::Mark& mark, const std::string& message) {
    throw YAML::ParserException(mark, message);
  }

  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      refuse(mark, fmt::format("expected a value without the tag '{}'; only !!str is known", tag));
    }
  }

  void count(const YAML::Mark& mark, std::size_t nodes) {
    nodes_ += nodes;
    if (nodes_ > kMaxNodes) {
      refuse(mark, fmt::format("expected at most {} values, with aliases followed", format_count(kMaxNodes)));
    }
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    refuse_tag(mark, tag);
    count(mark, 1);
    open_.push_back({kind, mark, anchor, {}, {}, {}, {}, {}});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    Place place = place_of(done.mark);
    add(done.mark, done.anchor,
        done.kind == Node::Kind::map ? Node::map(std::move(place), std::move(done.entries))
                                     : Node::sequence(std::move(place), std::move(done.items)),
        false);
  }

  // Puts a finished value where it belongs: the root, a list, a key, or the value of a key.
  void add(const YAML::Mark& mark, YAML::anchor_t anchor, Node node, bool plain) {
    if (anchor != 0) {
      anchors_.insert_or_assign(anchor, node);
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.kind == Node::Kind::sequence) {
      parent.items.push_back(std::move(node));
    } else if (!parent.key) {
      add_key(mark, node, plain);
    } else {
      if (node.is_null() && node.place().line > parent.key_place.line) {
        node = Node::null(parent.key_place);  // "key:" alone; yaml-cpp puts its value where the next thing is
      }
      parent.entries.push_back({std::move(*parent.key), parent.key_place, std::move(node)});
      parent.key.reset();
    }
  }

  void add_key(const YAML::Mark& mark, const Node& key, bool plain) {
    Open& parent = open_.back();
    if (!key.is_scalar()) {
      refuse(mark, fmt::format("expected a key, not {}", key.describe()));
    }
    if (plain && key.text() == "<<") {
      refuse(mark, "the merge key '<<' is not part of YAML 1.2; write the keys out");
    }
    const auto [first, is_new] = parent.keys.emplace(key.text(), place_of(mark));
    if (!is_new) {
      refuse(mark, fmt::format("the key '{}' stands twice; it was first given in line {}", key.text(),
                               first->second.line));
    }
    parent.key = key.text();
    parent.key_place = place_of(mark);
  }

  std::string file_;
  Source source_;
  Node root_;
  int documents_ = 0;
  std::size_t nodes_ = 0;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node> anchors_;
};

std::string scalar_yaml(const Node& node) {
  // As a text it is written plain or quoted so that it reads back as a text; any other value stands as it is.
  const Value value = value_of_scalar(node.text(), node.quoted());
  if (std::holds_alternative<std::string>(value)) {
    return to_string(value);
  }
  return node.text().empty() ? "null" : node.text();
}

bool is_block(const Node& node) { return !node.items().empty() || !node.entries().empty(); }

void write_yaml(const Node& node, int indent, std::string& yaml) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  switch (node.kind()) {
    case Node::Kind::null:
      yaml += "null\n";
      return;
    case Node::Kind::scalar:
      yaml += scalar_yaml(node) + '\n';
      return;
    case Node::Kind::sequence:
      yaml += node.items().empty() ? "[]\n" : "";
      for (const Node& item : node.items()) {
        // The item's own first margin gives way to its dash.
        std::string block;
        write_yaml(item, indent + 2, block);
        yaml += margin + "- " + block.substr(is_block(item) ? margin.size() + 2 : 0);
      }
      return;
    case Node::Kind::map:
      yaml += node.entries().empty() ? "{}\n" : "";
      for (const Node::Entry& entry : node.entries()) {
        const std::string key = to_string(Value(entry.key));
        yaml += margin + (key.size() <= kMaxPlainKeyBytes ? key : "? " + key + '\n' + margin) + ':';
        yaml += is_block(entry.value) ? '\n' : ' ';
        write_yaml(entry.value, indent + 2, yaml);
      }
      return;
  }
}

}  // namespace

Result<Node> parse_yaml(std::string_view text, const std::string& file_name) {
  TreeBuilder builder(file_name, text);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& exception) {
    return builder.explain(exception);
  }
  return builder.take_root();
}

std::string to_yaml(const Node& node) {
  std::string yaml;
  write_yaml(node, 0, yaml);
  return yaml;
}

}  // namespace regatta
