// Measures what the coordinator's own work takes and prints it as `regatta simulate` wants to be told; then
// holds the simulator's prediction for a crowd of crews whose trials take no time against the real server.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "benchmarks/coordinator/measure.h"
#include "coordinator/simulator.h"
#include "search/search.h"

namespace regatta {
namespace {

struct Options {
  std::filesystem::path folder;
  std::filesystem::path json;
  int crews = 1000;
  int trials = 20'000;
};

CoordinatorCosts measure(const std::filesystem::path& folder, nlohmann::json& record) {
  const SocketCosts sockets = measure_sockets(folder / "sockets", 64, 400);
  const double decision = measure_decision_us(1000, 50'000);
  const TransactionCosts transactions = measure_transactions(folder, 400);
  const double deletion = measure_deletion_us(folder / "deletion", 2000);
  fmt::print("receive {:.1f} us, decide {:.1f} us, send {:.1f} us, encrypt or decrypt {:.1f} us a message\n",
             sockets.receive, decision, sockets.send, sockets.relay);
  for (const auto& [events, ms] : transactions.sizes) {
    fmt::print("a transaction of {:>5} events {:>8.2f} ms\n", events, ms);
    record["transactions"].push_back({{"events", events}, {"milliseconds", ms}});
  }
  CoordinatorCosts costs;
  costs.message_us = sockets.receive + decision;
  costs.heartbeat_us = sockets.receive + sockets.send;
  costs.event_us = transactions.event_us;
  costs.commit_us = transactions.commit_us;
  costs.send_us = sockets.send;
  costs.delete_us = deletion;
  costs.relay_us = sockets.relay;
  fmt::print(
      "--message-us {:.1f} --heartbeat-us {:.1f} --event-us {:.1f} --commit-ms {:.2f} --send-us {:.1f} "
      "--delete-us {:.1f} --relay-us {:.1f}\n",
      costs.message_us, costs.heartbeat_us, costs.event_us, costs.commit_us / 1000, costs.send_us,
      costs.delete_us, costs.relay_us);
  record["microseconds"] = {{"message", costs.message_us}, {"heartbeat", costs.heartbeat_us},
                            {"event", costs.event_us},     {"commit", costs.commit_us},
                            {"send", costs.send_us},       {"delete", costs.delete_us},
                            {"relay", costs.relay_us}};
  return costs;
}

double predicted_trials_per_second(const CoordinatorCosts& costs, int crews, int trials) {
  const Experiment experiment = experiment_of(trials);
  Study study(experiment, read_search(experiment).value(), {.evaluate_best = false});
  const SimulationResult result =
      simulate(study, {.crews = crews, .epoch_seconds = 1e-6, .start_seconds = 0, .costs = costs}).value();
  return trials / result.makespan_seconds;
}

int run(const Options& options) {
  const auto made = TemporaryDirectory::make("coordinator-benchmark");
  const std::filesystem::path folder = options.folder.empty() ? made.value().path() : options.folder;
  nlohmann::json record;
  const CoordinatorCosts costs = measure(folder, record);
  fmt::print("\n{:>7} {:>9} {:>14} {:>14} {:>7} {:>16} {:>15}\n", "crews", "trials", "trials/s", "predicted",
             "ratio", "thread us/trial", "other us/trial");
  for (int crews = 16; crews <= options.crews; crews *= 8) {
    const WholeCosts whole = measure_whole(folder / fmt::format("whole-{}", crews), crews, options.trials);
    const double predicted = predicted_trials_per_second(costs, crews, options.trials);
    fmt::print("{:>7} {:>9} {:>14.0f} {:>14.0f} {:>7.2f} {:>16.1f} {:>15.1f}\n", crews, options.trials,
               whole.trials_per_second, predicted, predicted / whole.trials_per_second, whole.thread_us,
               whole.other_us);
    std::fflush(stdout);
    record["whole"].push_back({{"crews", crews},
                               {"trials", options.trials},
                               {"trials_per_second", whole.trials_per_second},
                               {"predicted", predicted},
                               {"thread_us", whole.thread_us},
                               {"other_us", whole.other_us}});
  }
  if (!options.json.empty()) {
    std::ofstream(options.json) << record.dump(2) << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  CLI::App app("Measures what the coordinator's own work takes.");
  regatta::Options options;
  app.add_option("--folder", options.folder, "an empty folder for studies, on the file system in question");
  app.add_option("--json", options.json, "a file for the figures");
  app.add_option("--crews", options.crews, "at most so many connections at once")->capture_default_str();
  app.add_option("--trials", options.trials, "of each crowd")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return regatta::run(options);
}
