// Experiment files: a mistake has its place, and an experiment that was accepted means the same when its tree
// is written out and read again.
#include "experiment/experiment.h"

#include "experiment/value.h"
#include "tests/fuzz/properties.h"
#include "tests/fuzz/target.h"

namespace regatta {
namespace {

constexpr const char* kFile = "fuzz.yaml";

void check_same(const Experiment& a, const Experiment& b) {
  CHECK(a.name == b.name && a.seed == b.seed);
  CHECK(a.objectives.size() == b.objectives.size() && !a.objectives.empty());
  for (std::size_t i = 0; i < a.objectives.size(); ++i) {
    CHECK(a.objectives[i].metric == b.objectives[i].metric);
    CHECK(a.objectives[i].direction == b.objectives[i].direction);
  }
  CHECK(a.space.size() == b.space.size());
  for (std::size_t i = 0; i < a.space.size(); ++i) {
    CHECK(a.space.parameters()[i].name == b.space.parameters()[i].name);
  }
  CHECK(to_yaml(a.root) == to_yaml(b.root));
}

// Every point is of the space, has a description, and can be put into the file.
void check_points(const Experiment& experiment, std::string_view text) {
  const Space& space = experiment.space;
  for (const Point& point : representative_points(space)) {
    CHECK(space.contains(point), space.describe(point));
    CHECK(space.contains(space.from_unit(space.to_unit(point))), space.describe(point));
    for (const char* key : {"data", "model", "train", "command"}) {
      if (const auto node = substitute(experiment.section_or_empty(key), space, point); !node.ok()) {
        fuzz::check_place(node.error(), kFile, text);
      }
    }
  }
}

}  // namespace

std::vector<std::string> fuzz::seeds() {
  return {
      "objective: {maximize: val_accuracy}\n",
      "name: tab-1.le\nseed: 7\nobjective: [{maximize: accuracy}, {minimize: loss}]\n"
      "search: {sampler: sobol, scheduler: {type: asha, max_epochs: 32}, stop: {trials: 30}}\n"
      "space:\n  optimizer: {choice: [sgd, adam]}\n  lr: {float: [0.001, 0.1], log: true}\n"
      "  momentum: {float: [0.5, 0.95], when: optimizer == sgd}\n  width: {int: [4, 32], step: 4}\n"
      "  units: {int: [32, 128], log: true}\n  rate: {float: [0, 1], step: 0.1}\n"
      "train:\n  optimizer: {type: $optimizer, lr: $lr, momentum: $momentum}\n"
      "model: {layers: [{dense: $width}, {dense: \"${units}\"}, {dropout: $rate}]}\n"
      "data: {format: csv, path: a.csv, target: x}\nresources: {crews: 2}\n",
      "objective: {minimize: loss}\nspace:\n  a: {choice: [1, 1.5, yes, true, ~, text]}\n"
      "  b: {int: [-3, 3], when: a in [1, text] and not a == 2}\ncommand: [run, --a=$a, \"--b=${b}$$\"]\n",
      "objective: {minimize: loss}\nspace:\n  x: {int: [-9223372036854775808, 9223372036854775807]}\n"
      "  y: {float: [-1e308, 1e308]}\n  z: {float: [1e-300, 1e300], log: true}\ntrain: [$x, $y, $z]\n",
      "objective: loss\nspaces: {}\n",
  };
}

}  // namespace regatta

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace regatta;
  const std::string_view text = fuzz::text_of(data, size);
  const auto experiment = parse_experiment(text, kFile);
  if (!experiment.ok()) {
    fuzz::check_place(experiment.error(), kFile, text);
    return 0;
  }
  check_points(*experiment, text);
  const auto again = parse_experiment(to_yaml(experiment->root), kFile);
  CHECK(again.ok(), again.error().message);
  check_same(*experiment, *again);
  return 0;
}
