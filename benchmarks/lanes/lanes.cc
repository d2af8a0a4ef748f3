// Eight trials in the lanes of one crew against the same trials one after another, by the worker's own
// training loop with loader, validation and checkpoints. Interleaved; the best of several rounds each.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "worker/training.h"

namespace regatta {
namespace {

constexpr int kTrials = 8;
constexpr int kRounds = 5;

std::string experiment_of(const std::string& layers) {
  return "name: lanes\nseed: 1\nobjective: {maximize: val_accuracy}\n"
         "space: {lr: {float: [0.001, 0.1], log: true}}\n"
         "data: {format: idx, path: /usr/share/datasets/fashion-mnist, validation: 0.1}\n"
         "model: {layers: [" +
         layers + "]}\ntrain: {optimizer: {type: sgd, lr: $lr, momentum: 0.9}, batch_size: 256}\n";
}

// Ends its attempt after the first epoch.
class OneEpoch final : public AttemptControl {
 public:
  Status report(const EpochReport& /*report*/) override {
    decision_.action = Decision::Action::end;
    return {};
  }
  Result<Decision> decide(std::int64_t /*epoch*/, Microseconds /*wait*/) override { return decision_; }

 private:
  Decision decision_{.until_epoch = 1};
};

class Crew {
 public:
  Crew(const Experiment& experiment, const std::filesystem::path& folder, int lanes, int threads)
      : lanes_(lanes),
        bench_(*communicator_, experiment, clock_, {.folder = folder, .threads = threads, .lanes = lanes}) {}

  // Of one epoch of all trials.
  double seconds() {
    const Microseconds begin = clock_.monotonic();
    for (int first = 0; first < kTrials; first += lanes_) {
      Training training(bench_);
      std::vector<std::unique_ptr<OneEpoch>> controls;
      for (int trial = first; trial < first + lanes_; ++trial) {
        controls.push_back(std::make_unique<OneEpoch>());
        training.begin(
            {.attempt = trial + 1, .trial = trial, .point = {0.01 * (trial + 1)}, .until_epoch = 1},
            controls.back().get());
      }
      while (training.is_busy()) {
        const auto ended = training.advance();
        CHECK(ended.ok(), ended.error().message);
        for (const EndedAttempt& attempt : *ended) {
          CHECK(attempt.end.how == AttemptEnd::How::ordered, attempt.end.message);
        }
      }
    }
    return std::chrono::duration<double>(clock_.monotonic() - begin).count();
  }
  std::int64_t samples() { return bench_.data().train.count(); }

 private:
  const SystemClock clock_;
  const std::unique_ptr<Communicator> communicator_ = make_single_communicator();
  const int lanes_;
  Workbench bench_;
};

void compare(const std::string& name, const std::string& layers, int threads) {
  const TemporaryDirectory folder = TemporaryDirectory::make().value();
  const Experiment experiment =
      parse_experiment(experiment_of(layers), (folder.path() / "lanes.yaml").string()).value();
  Crew together(experiment, folder.path(), kTrials, threads);
  Crew alone(experiment, folder.path(), 1, threads);
  together.seconds();  // data and plans
  alone.seconds();
  double fused = 1e30;
  double serial = 1e30;
  for (int round = 0; round < kRounds; ++round) {
    fused = std::min(fused, together.seconds());
    serial = std::min(serial, alone.seconds());
  }
  const double samples = static_cast<double>(kTrials * together.samples());
  fmt::print("{:<24} {:>12.0f} {:>16.0f} {:>10.2f}x\n", name, samples / fused, samples / serial,
             serial / fused);
  std::fflush(stdout);
}

void run(int threads) {
  fmt::print("{:<24} {:>12} {:>16} {:>11}\n", "samples/s, all trials", "8 lanes", "one by one", "ratio");
  for (const int width : {16, 32, 64, 128, 256}) {
    compare(fmt::format("MLP 784-{}-10", width),
            fmt::format("flatten, {{dense: {}}}, relu, {{dense: 10}}", width), threads);
  }
  compare("MLP 784-512-256-10", "flatten, {dense: 512}, relu, {dense: 256}, relu, {dense: 10}", threads);
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  CLI::App app("Times eight trials in one crew against the same trials one after another.");
  int threads = 1;
  app.add_option("--threads", threads, "of the crew")->check(CLI::Range(1, 1024))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  regatta::run(threads);
}
