// Minimises Branin's function with the search of Regatta, in this process: ask for a point, tell its value.
#include <cmath>
#include <cstdio>
#include <numbers>

#include "search/ask_tell.h"

namespace {

constexpr const char* kExperiment = R"(
objective: {minimize: value}
search: {sampler: sobol, stop: {trials: 200}}
space:
  x: {float: [-5, 10]}
  y: {float: [0, 15]}
)";

// Three minima of 0.397887.
double branin(double x, double y) {
  constexpr double kPi = std::numbers::pi;
  const double curve = y - 5.1 / (4 * kPi * kPi) * x * x + 5 / kPi * x - 6;
  return curve * curve + 10 * (1 - 1 / (8 * kPi)) * std::cos(x) + 10;
}

regatta::Status minimize() {
  ASSIGN_OR_RETURN(const auto experiment, regatta::parse_experiment(kExperiment, "main.cc"));
  ASSIGN_OR_RETURN(const auto config, regatta::read_search(experiment));
  regatta::AskTell search(experiment, config);
  auto answer = search.ask();
  while (const auto* work = std::get_if<regatta::AskTell::Work>(&answer)) {
    RETURN_IF_ERROR(search.tell(work->trial, {branin(*work->point[0], *work->point[1])}));
    answer = search.ask();
  }
  const regatta::Trial& best = search.trials()[static_cast<std::size_t>(search.best().value())];
  std::printf("%zu trials, best %.6f at %s\n", search.trials().size(), best.values.front(),
              experiment.space.describe(best.point).c_str());
  return {};
}

}  // namespace

int main() {
  const regatta::Status done = minimize();
  if (!done.ok()) {
    std::fprintf(stderr, "%s\n", done.error().message.c_str());
  }
  return done.ok() ? 0 : 1;
}
