// What learning from an earlier study is worth: the regret with it, divided by that without it. The earlier
// study has the same function, moved in its box, on another scale, or an unrelated one.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>

#include "base/random.h"
#include "benchmarks/search/functions.h"
#include "search/sampler.h"

namespace regatta {
namespace {

struct Options {
  std::string sampler = "tpe";
  int seeds = 20;
  int evaluations = 50;
  int earlier_trials = 60;
  std::vector<std::string> functions;
};

double value_of(const TestFunction& function, const Point& point) {
  std::vector<double> x;
  for (const auto& coordinate : point) {
    x.push_back(coordinate.value_or(std::nan("")));
  }
  return function.value(x);
}

// The point moved by `shift` of every numeric range, around its ends.
Point moved(const Space& space, const Point& point, double shift) {
  std::vector<double> unit = space.to_unit(point);
  for (std::size_t i = 0; i < unit.size(); ++i) {
    if (!std::holds_alternative<ChoiceDomain>(space.parameters()[i].domain)) {
      unit[i] = std::fmod(unit[i] + shift + 1, 1.0);
    }
  }
  return space.from_unit(unit);
}

using Objective = std::function<double(const Point&)>;

std::vector<Trial> run(const Typed& config, const SearchContext& context, int trials,
                       const Objective& objective) {
  const auto sampler = make_sampler(config, context).value();
  std::vector<Trial> history;
  for (int number = 0; number < trials; ++number) {
    auto point = sampler->propose(history, number);
    const double value = objective(*point);
    history.push_back({.number = number,
                       .point = *std::move(point),
                       .state = TrialState::complete,
                       .scores = {{.epoch = 1, .values = {value}}},
                       .values = {value}});
  }
  return history;
}

double regret_after(const std::vector<Trial>& trials, int count, double optimum) {
  double best = trials[0].values[0];
  for (int i = 0; i < count; ++i) {
    best = std::min(best, trials[static_cast<std::size_t>(i)].values[0]);
  }
  return best - optimum;
}

struct Relation {
  const char* name;
  std::function<double(const TestFunction&, const Space&, const Point&)> value;  // in the earlier study
};

double logarithmic(double value, double optimum) { return 100 * std::log1p(value - optimum); }

std::vector<Relation> relations() {
  const auto shifted = [](double shift) {
    return [shift](const TestFunction& function, const Space& space, const Point& point) {
      return logarithmic(value_of(function, moved(space, point, shift)), function.optimum);
    };
  };
  return {{"same", shifted(0)},
          {"moved 5 %", shifted(0.05)},
          {"moved 20 %", shifted(0.2)},
          {"opposite", [](const TestFunction& function, const Space&, const Point& point) {
             return -value_of(function, point);
           }}};
}

void compare(const TestFunction& function, const Options& options) {
  const Node node = parse_yaml(function.space, function.name).value();
  const Space space = read_space(node).value();
  const Node sampler_node = parse_yaml(options.sampler, "--sampler").value();
  const Typed config = read_typed(sampler_node, "sampler").value();
  const Node earlier_node = parse_yaml("random", "earlier").value();
  const Typed earlier_config = read_typed(earlier_node, "sampler").value();
  const auto objective = [&](const Point& point) { return value_of(function, point); };
  std::vector<std::vector<Trial>> alone;
  for (int seed = 0; seed < options.seeds; ++seed) {
    alone.push_back(run(config, {.space = &space, .seed = static_cast<std::uint64_t>(seed)},
                        options.evaluations, objective));
  }
  for (const Relation& relation : relations()) {
    fmt::print("{:<12} {:<11}", function.name, relation.name);
    std::vector<std::vector<Trial>> learned;
    for (int seed = 0; seed < options.seeds; ++seed) {
      SearchContext context{.space = &space, .seed = static_cast<std::uint64_t>(seed)};
      const SearchContext other{.space = &space, .seed = static_cast<std::uint64_t>(1000 + seed)};
      context.earlier.push_back(
          {.trials = run(earlier_config, other, options.earlier_trials,
                         [&](const Point& point) { return relation.value(function, space, point); })});
      learned.push_back(run(config, context, options.evaluations, objective));
    }
    for (const int count : {5, 10, 25, 50, 100}) {
      if (count > options.evaluations) {
        continue;
      }
      double log_ratio = 0;
      for (std::size_t i = 0; i < learned.size(); ++i) {
        log_ratio += std::log((regret_after(learned[i], count, function.optimum) + 1e-9) /
                              (regret_after(alone[i], count, function.optimum) + 1e-9));
      }
      fmt::print(" {:>8.3f}", std::exp(log_ratio / static_cast<double>(learned.size())));
    }
    fmt::print("\n");
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  CLI::App app("Compares searches with and without an earlier study: geometric mean of the regrets' ratios.");
  regatta::Options options;
  app.add_option("--sampler", options.sampler, "name, or {type: NAME, options}")->capture_default_str();
  app.add_option("--seeds", options.seeds, "studies per row")->capture_default_str();
  app.add_option("--evaluations", options.evaluations, "of the study that learns")->capture_default_str();
  app.add_option("--earlier-trials", options.earlier_trials, "random ones")->capture_default_str();
  app.add_option("--functions", options.functions, "only these");
  CLI11_PARSE(app, argc, argv);
  fmt::print("{:<12} {:<11} {:>8} {:>8} {:>8} {:>8} {:>8}\n", "function", "earlier", "5", "10", "25", "50",
             "100");
  for (const regatta::TestFunction& function : regatta::test_functions()) {
    const auto& wanted = options.functions;
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), function.name) != wanted.end()) {
      regatta::compare(function, options);
    }
  }
  return 0;
}
