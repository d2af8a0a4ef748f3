// One experiment: what every part of the program shares of the file. Each other folder reads its own section
// of the tree.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "experiment/node.h"
#include "experiment/space.h"

namespace regatta {

enum class Direction { minimize, maximize };

struct Objective {
  std::string metric;  // "val_accuracy"
  Direction direction = Direction::minimize;
  Place place;
};

// From the value that the search minimises to the user's and back.
double in_user_direction(const Objective& objective, double value);

struct Experiment {
  std::string name;
  std::uint64_t seed = 0;
  std::vector<Objective> objectives;  // at least one
  Space space;
  Node root = Node::null({});  // the whole file, overrides applied

  // A top-level section, or nullptr.
  const Node* section(std::string_view key) const { return root.find(key); }
  // The section, or a null node at the file's place: for sections whose every key has a fallback.
  Node section_or_empty(std::string_view key) const;
};

// Reads the file and applies "KEY=VALUE" overrides. Checks: top-level keys, name, seed, objective, space,
// that every $name stands for a parameter, and that every parameter is used somewhere (an unused one is a
// mistake). Sections of other folders are checked by their readers. The name falls back to the file's.
Result<Experiment> load_experiment(const std::filesystem::path& path,
                                   const std::vector<std::string>& overrides);
Result<Experiment> parse_experiment(std::string_view yaml, const std::string& file_name,
                                    const std::vector<std::string>& overrides = {});

// `node` with every $name replaced by the point's value. "$name" or "${name}" alone takes the value with its
// type; inside a longer text it is spliced in; "$$" is a dollar. Where a parameter is inactive, the map entry
// or list item that mentions it is left out.
Result<Node> substitute(const Node& node, const Space& space, const Point& point);

// Points that between them take every choice and both ends of every range: what validation tries the sections
// on.
std::vector<Point> representative_points(const Space& space);

}  // namespace regatta
