// An event queue of evaluations under way, ordered by the time at which they end.
#include "benchmarks/search/regret.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/random.h"
#include "search/sampler.h"

namespace regatta {

Result<std::vector<double>> regret_curve(const TestFunction& function, const RegretOptions& options,
                                         std::uint64_t seed) {
  ASSIGN_OR_RETURN(const Node space_node, parse_yaml(function.space, function.name));
  ASSIGN_OR_RETURN(const Space space, read_space(space_node));
  ASSIGN_OR_RETURN(const Node sampler_node, parse_yaml(options.sampler, "--sampler"));
  ASSIGN_OR_RETURN(const Typed config, read_typed(sampler_node, "sampler"));
  ASSIGN_OR_RETURN(const auto sampler, make_sampler(config, {.space = &space, .seed = seed}));

  const Random durations(seed, "benchmark durations");
  std::vector<Trial> trials;
  std::set<std::pair<double, int>> running;  // (end, trial)
  double now = 0;
  const auto ask = [&] {
    const int number = static_cast<int>(trials.size());
    if (number >= options.evaluations) {
      return;
    }
    auto point = sampler->propose(trials, number);
    if (!point) {
      return;
    }
    trials.push_back({.number = number, .point = *std::move(point), .state = TrialState::running});
    const double seconds =
        options.workers == 1 ? 1 : 0.5 + durations.uniform(static_cast<std::uint64_t>(number));
    running.emplace(now + seconds, number);
  };

  for (int worker = 0; worker < options.workers; ++worker) {
    ask();
  }
  std::vector<double> curve;
  double best = std::numeric_limits<double>::infinity();
  while (!running.empty()) {
    const auto [end, number] = *running.begin();
    running.erase(running.begin());
    now = end;
    Trial& trial = trials[static_cast<std::size_t>(number)];
    std::vector<double> x;
    for (const auto& coordinate : trial.point) {
      x.push_back(coordinate.value_or(std::nan("")));
    }
    const double value = function.value(x);
    trial.state = TrialState::complete;
    trial.values = {value};
    trial.scores = {{.epoch = 1, .values = {value}}};
    best = std::min(best, value - function.optimum);
    curve.push_back(best);
    ask();
  }
  return curve;
}

}  // namespace regatta
