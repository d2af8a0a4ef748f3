// Reads what every part of the program shares of the file, and checks that its parts fit together.
#include "experiment/experiment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "experiment/section.h"
#include "experiment/substitution.h"

namespace regatta {
namespace {

constexpr std::array<std::string_view, 4> kSubstituted = {"data", "model", "train", "command"};
constexpr std::size_t kMaxNameCharacters = 100;

bool is_name_part(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.';
}

// The name becomes a folder's name.
Status check_name(const std::string& name, const Place& place) {
  const bool is_good = !name.empty() && name.size() <= kMaxNameCharacters && name[0] != '.' &&
                       name[0] != '-' && std::all_of(name.begin(), name.end(), is_name_part);
  if (!is_good) {
    return mistake_at(
        place, fmt::format("expected a name of at most {} letters, digits, '_', '-' and '.' that begins "
                           "with none of the last two, not '{}'",
                           kMaxNameCharacters, name));
  }
  return {};
}

std::string name_of_file(const std::string& file_name) {
  std::string name = std::filesystem::path(file_name).stem().string().substr(0, kMaxNameCharacters);
  for (char& c : name) {
    c = is_name_part(c) ? c : '_';
  }
  if (name.empty() || name[0] == '.' || name[0] == '-') {
    name = "experiment";
  }
  return name;
}

Result<Objective> read_objective(const Node& node) {
  constexpr std::string_view kExpected = "expected {maximize: METRIC} or {minimize: METRIC}";
  if (!node.is_map()) {
    return mistake_at(node.place(), fmt::format("{}, not {}", kExpected, node.describe()));
  }
  Section section(node, "objective");
  const Node* const maximize = section.child("maximize");
  const Node* const minimize = section.child("minimize");
  RETURN_IF_ERROR(section.finish());
  if ((maximize == nullptr) == (minimize == nullptr)) {
    return mistake_at(node.place(), fmt::format("{}; several objectives are a list of these", kExpected));
  }
  const Node& metric = maximize != nullptr ? *maximize : *minimize;
  if (!metric.is_scalar() || metric.text().empty()) {
    return mistake_at(metric.place(),
                      fmt::format("expected the name of a metric, not {}", metric.describe()));
  }
  return Objective{metric.text(), maximize != nullptr ? Direction::maximize : Direction::minimize,
                   metric.place()};
}

Result<std::vector<Objective>> read_objectives(const Node& node) {
  if (!node.is_sequence()) {
    ASSIGN_OR_RETURN(Objective objective, read_objective(node));
    return std::vector<Objective>{std::move(objective)};
  }
  if (node.items().empty()) {
    return mistake_at(node.place(), "expected one or more objectives");
  }
  std::vector<Objective> objectives;
  for (const Node& item : node.items()) {
    ASSIGN_OR_RETURN(Objective objective, read_objective(item));
    for (const Objective& earlier : objectives) {
      if (earlier.metric == objective.metric) {
        return mistake_at(objective.place, fmt::format("the metric '{}' stands twice", objective.metric));
      }
    }
    objectives.push_back(std::move(objective));
  }
  return objectives;
}

// Every $name stands where it may and is a parameter; every parameter is used, if anything could use it.
Status check_all_references(const Experiment& experiment) {
  std::vector<bool> used(experiment.space.size());
  bool has_users = false;
  for (const Node::Entry& entry : experiment.root.entries()) {
    if (std::find(kSubstituted.begin(), kSubstituted.end(), entry.key) == kSubstituted.end()) {
      RETURN_IF_ERROR(refuse_references(entry.value));
      continue;
    }
    has_users = true;
    RETURN_IF_ERROR(check_references(entry.value, experiment.space, used));
  }
  for (const Parameter& parameter : experiment.space.parameters()) {
    for (const std::string& name : parameter.when ? parameter.when->names() : std::vector<std::string>{}) {
      used[*experiment.space.index_of(name)] = true;  // a switch between other parameters
    }
  }
  for (std::size_t i = 0; has_users && i < used.size(); ++i) {
    const Parameter& parameter = experiment.space.parameters()[i];
    if (!used[i]) {
      return mistake_at(
          parameter.place,
          fmt::format(
              "the parameter '{0}' is used nowhere; write ${0} where its value belongs, or leave it out",
              parameter.name));
    }
  }
  return {};
}

}  // namespace

double in_user_direction(const Objective& objective, double value) {
  const bool negated = objective.direction == Direction::maximize && value != 0;  // no minus zero for people
  return negated ? -value : value;
}

Node Experiment::section_or_empty(std::string_view key) const {
  const Node* const found = section(key);
  return found != nullptr ? *found : Node::null({.file = root.place().file});
}

Result<Experiment> parse_experiment(std::string_view yaml, const std::string& file_name,
                                    const std::vector<std::string>& overrides) {
  Experiment experiment;
  ASSIGN_OR_RETURN(experiment.root, parse_yaml(yaml, file_name));
  for (const std::string& assignment : overrides) {
    RETURN_IF_ERROR(apply_override(experiment.root, assignment));
  }
  Section section(experiment.root, "the experiment");
  for (const std::string_view key : {"search", "data", "model", "train", "command", "table", "resources"}) {
    section.child(key);
  }
  experiment.name = section.text("name", name_of_file(file_name));
  experiment.seed = static_cast<std::uint64_t>(section.integer("seed", {.fallback = 0, .min = 0}));
  const Node* const space = section.child("space");
  const Node* const objective = section.required_child("objective");
  RETURN_IF_ERROR(section.finish());
  const Node* const name = section.child("name");
  RETURN_IF_ERROR(check_name(experiment.name, name != nullptr ? name->place() : section.place()));
  ASSIGN_OR_RETURN(experiment.objectives, read_objectives(*objective));
  if (space != nullptr) {
    ASSIGN_OR_RETURN(experiment.space, read_space(*space));
  }
  RETURN_IF_ERROR(check_all_references(experiment));
  return experiment;
}

Result<Experiment> load_experiment(const std::filesystem::path& path,
                                   const std::vector<std::string>& overrides) {
  auto yaml = read_file(path);
  if (!yaml.ok()) {
    return user_mistake(yaml.error().message);
  }
  return parse_experiment(*yaml, path.string(), overrides);
}

}  // namespace regatta
