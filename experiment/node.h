// The experiment file as a tree that knows its places, so that every mistake can be told with file, line and
// column.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace regatta {

struct Place {
  std::string file;         // a path, or "--set KEY" for an override
  int line = 0;             // from 1; 0: the place is `file` as a whole
  int column = 0;           // from 1
  std::string str() const;  // "exp.yaml:12:7"
};

// The user's mistake at `place`: "exp.yaml:12:7: expected …".
Error mistake_at(const Place& place, std::string_view message);

// A value of the tree. Scalars keep their text; Section gives them types.
class Node {
 public:
  enum class Kind { null, scalar, sequence, map };
  struct Entry;

  static Node null(Place place);
  static Node scalar(Place place, std::string text, bool quoted);
  static Node sequence(Place place, std::vector<Node> items);
  static Node map(Place place, std::vector<Entry> entries);  // keys are distinct

  Kind kind() const { return kind_; }
  const Place& place() const { return place_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_scalar() const { return kind_ == Kind::scalar; }
  bool is_sequence() const { return kind_ == Kind::sequence; }
  bool is_map() const { return kind_ == Kind::map; }
  // "a number", "a text", "a list", "a map", "nothing": for messages.
  std::string_view describe() const;

  const std::string& text() const { return text_; }  // of a scalar
  bool quoted() const { return quoted_; }            // "5" in quotes is a text, 5 is a number
  const std::vector<Node>& items() const { return items_; }
  const std::vector<Entry>& entries() const { return entries_; }  // in the order of the file
  const Node* find(std::string_view key) const;                   // nullptr when absent or not a map

  // Replaces the value at a dotted path ("search.stop.trials"), making maps on the way.
  Status set(std::string_view dotted_path, Node value);

 private:
  Node(Kind kind, Place place);  // not inline: Entry is incomplete here
  Kind kind_;
  Place place_;
  std::string text_;
  bool quoted_ = false;
  std::vector<Node> items_;
  std::vector<Entry> entries_;
};

struct Node::Entry {
  std::string key;
  Place key_place;
  Node value;
};

// Parses one YAML document. Refuses, with the place: syntax errors, duplicate keys, several documents, tabs.
// Aliases and anchors are followed; merge keys (<<) are not YAML 1.2 and are refused.
Result<Node> parse_yaml(std::string_view text, const std::string& file_name);

// Applies one "--set KEY=VALUE"; VALUE is YAML. The value's place names the override.
Status apply_override(Node& root, std::string_view assignment);

// The tree as YAML text that parse_yaml reads back to an equal tree (places aside).
std::string to_yaml(const Node& node);

}  // namespace regatta
