// search-benchmark: our samplers on test functions beside the figures of their peers, and the time of one
// suggestion.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "base/random.h"
#include "benchmarks/search/regret.h"
#include "benchmarks/search/tables.h"
#include "search/sampler.h"

namespace regatta {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// peers/regret.csv: (function, evaluations) → the lowest median of all peers, and whose it is.
using Peers = std::map<std::pair<std::string, int>, std::map<std::string, double>>;
Peers read_peers() {
  std::ifstream file(REGATTA_BENCHMARK_FOLDER "/peers/regret.csv");
  Peers peers;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string function, sampler, version, evaluations, low, middle;
    std::getline(fields, function, ',');
    std::getline(fields, sampler, ',');
    std::getline(fields, version, ',');
    std::getline(fields, evaluations, ',');
    std::getline(fields, low, ',');
    std::getline(fields, middle, ',');
    peers[{function, std::stoi(evaluations)}][sampler + " " + version] = std::stod(middle);
  }
  return peers;
}

struct RegretCommand {
  RegretOptions options;
  std::vector<std::string> functions;
  int seeds = 20;
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
};

std::vector<std::vector<double>> all_curves(const TestFunction& function, const RegretCommand& command) {
  std::vector<std::vector<double>> curves(static_cast<std::size_t>(command.seeds));
  std::atomic<int> next{0};
  std::vector<std::jthread> threads;
  for (unsigned job = 0; job < command.jobs; ++job) {
    threads.emplace_back([&] {
      for (int seed = next++; seed < command.seeds; seed = next++) {
        auto curve = regret_curve(function, command.options, static_cast<std::uint64_t>(seed));
        if (!curve.ok()) {
          fmt::print(stderr, "{}\n", curve.error().message);
          std::exit(2);
        }
        curves[static_cast<std::size_t>(seed)] = std::move(curve).value();
      }
    });
  }
  threads.clear();
  return curves;
}

void print_regret(const RegretCommand& command) {
  const Peers peers = read_peers();
  fmt::print("median regret of {} over {} seeds, {} worker(s); the best peer works alone\n",
             command.options.sampler, command.seeds, command.options.workers);
  fmt::print("{:<12} {:>6} {:>11} {:>11} {:>11}   {:>11} {:<16} {:>8}\n", "function", "trials",
             "lower quart.", "median", "upper quart.", "best peer", "", "ratio");
  for (const TestFunction& function : test_functions()) {
    const auto& wanted = command.functions;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), function.name) == wanted.end()) {
      continue;
    }
    const auto curves = all_curves(function, command);
    for (const int evaluations : {25, 50, 100, command.options.evaluations}) {
      if (evaluations > command.options.evaluations ||
          (evaluations == command.options.evaluations && evaluations <= 100 && evaluations != 25 &&
           evaluations != 50 && evaluations != 100)) {
        continue;
      }
      std::vector<double> regrets;
      for (const auto& curve : curves) {
        regrets.push_back(curve[std::min(curve.size(), static_cast<std::size_t>(evaluations)) - 1]);
      }
      std::sort(regrets.begin(), regrets.end());
      fmt::print("{:<12} {:>6} {:>11.4g} {:>11.4g} {:>11.4g}", function.name, evaluations,
                 regrets[regrets.size() / 4], median(regrets), regrets[regrets.size() * 3 / 4]);
      if (const auto row = peers.find({function.name, evaluations}); row != peers.end()) {
        const auto best = std::min_element(row->second.begin(), row->second.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        fmt::print("   {:>11.4g} {:<16} {:>8.3f}", best->second, best->first, median(regrets) / best->second);
      }
      fmt::print("\n");
      if (evaluations == command.options.evaluations) {
        break;
      }
    }
    std::fflush(stdout);
  }
}

struct SuggestCommand {
  std::string sampler = "tpe";
  std::vector<int> trials = {100, 300, 1000, 10000};
  int repeats = 20;
};

double cpu_milliseconds() {
  std::timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

// As in a study: one suggestion a trial, the trial ends, the next suggestion. The history before is random,
// and the first suggestion, which meets it all at once, is not counted.
void print_suggest(const SuggestCommand& command) {
  fmt::print("{:>8} {:>12}\n", "trials", "CPU ms");
  const Space space = read_space(parse_yaml("{a: {float: [0, 1]}, b: {float: [0, 1]}, c: {float: [0, 1]},"
                                            " d: {float: [0, 1]}, e: {float: [0, 1]}}",
                                            "space")
                                     .value())
                          .value();
  for (const int trials : command.trials) {
    const Typed config = read_typed(parse_yaml(command.sampler, "--sampler").value(), "sampler").value();
    const auto sampler = make_sampler(config, {.space = &space, .seed = 1}).value();
    const Random random(1, "benchmark");
    std::vector<Trial> history;
    const auto end = [&](Point point) {
      double value = 0;
      for (const auto& x : point) {
        value += (*x - 0.3) * (*x - 0.3);
      }
      history.push_back({.number = static_cast<int>(history.size()),
                         .point = std::move(point),
                         .state = TrialState::complete,
                         .scores = {{.epoch = 1, .values = {value}}},
                         .values = {value}});
    };
    while (static_cast<int>(history.size()) < trials) {
      std::vector<double> unit(space.size());
      for (std::size_t i = 0; i < unit.size(); ++i) {
        unit[i] = random.uniform(history.size() * unit.size() + i);
      }
      end(space.from_unit(unit));
    }
    std::vector<double> times;
    for (int repeat = 0; repeat <= command.repeats; ++repeat) {
      const double before = cpu_milliseconds();
      auto point = sampler->propose(history, static_cast<int>(history.size()));
      times.push_back(cpu_milliseconds() - before);
      end(*std::move(point));
    }
    times.erase(times.begin());
    fmt::print("{:>8} {:>12.3f}\n", trials, median(times));
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  CLI::App app("Measures the search: answers per trial, and the cost of a suggestion.");
  app.require_subcommand(1);
  regatta::RegretCommand regret;
  auto* regret_app = app.add_subcommand("regret", "median regret on test functions beside the peers'");
  regret_app->add_option("--sampler", regret.options.sampler, "as in search.sampler")->required();
  regret_app->add_option("--function", regret.functions, "only these");
  regret_app->add_option("--evaluations", regret.options.evaluations)->capture_default_str();
  regret_app->add_option("--workers", regret.options.workers, "asynchronous workers")->capture_default_str();
  regret_app->add_option("--seeds", regret.seeds)->capture_default_str();
  regret_app->add_option("--jobs", regret.jobs, "threads, a seed each")->capture_default_str();
  regatta::SuggestCommand suggest;
  auto* suggest_app = app.add_subcommand("suggest", "time of one suggestion in five dimensions");
  suggest_app->add_option("--sampler", suggest.sampler, "as in search.sampler")->capture_default_str();
  suggest_app->add_option("--trials", suggest.trials, "ended trials before it")->capture_default_str();
  suggest_app->add_option("--repeats", suggest.repeats)->capture_default_str();
  regatta::TablesCommand tables;
  auto* tables_app = app.add_subcommand("tables", "regret on tables of learning curves beside the peers'");
  tables_app->add_option("--folder", tables.folder, "of the tables")->required();
  tables_app->add_option("--table", tables.tables, "only these");
  tables_app->add_option("--sampler", tables.run.sampler, "as in search.sampler")->required();
  tables_app->add_option("--scheduler", tables.run.scheduler, "as in search.scheduler")->required();
  tables_app->add_option("--workers", tables.run.workers)->capture_default_str();
  tables_app->add_option("--budget", tables.run.budget, "total cost in R")->capture_default_str();
  tables_app->add_option("--seeds", tables.seeds)->capture_default_str();
  tables_app->add_option("--jobs", tables.jobs, "threads, a seed each")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (tables_app->parsed()) {
    if (const auto done = regatta::print_tables(tables); !done.ok()) {
      fmt::print(stderr, "{}\n", done.error().message);
      return 2;
    }
  } else if (regret_app->parsed()) {
    regatta::print_regret(regret);
  } else {
    regatta::print_suggest(suggest);
  }
}
