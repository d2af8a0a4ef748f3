// scaling-benchmark: a network trained by one rank and by all ranks with the same global batch, in turns in
// one run: what a rank more is worth when everything is paid for, the sum of the gradients too.
#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/random.h"
#include "collectives/mpi_communicator.h"
#include "models/cpu/engine.h"
#include "worker/exchange.h"

namespace regatta {
namespace {

struct Options {
  std::string layers = "[dense: 512, relu, dense: 256, relu, dense: 10]";
  std::vector<std::int64_t> input = {784};
  std::string optimizer = "{type: sgd, lr: 0.01, momentum: 0.9}";
  std::int64_t batch = 256;
  int threads = 1;
  int ranks_per_host = 0;
  int rounds = 15;
  double seconds = 0.2;  // of a round, for each
};

constexpr std::int64_t kClasses = 10;

// What this process has computed, without what it waited for its core.
double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Of a step.
struct Times {
  double best = 1e9;  // others are disturbed by what else the machine does
  double cpu = 0;     // on average
};

// A rank's engine with all that it needs to take steps with its crew.
class Trainer {
 public:
  Trainer(Communicator& communicator, const ModelConfig& config, const Options& options)
      : communicator_(communicator), sums_(MetricSums::classification(kClasses)) {
    const std::int64_t rows = options.batch / communicator.size();
    EngineOptions engine{.batch_capacity = rows, .global_batch = options.batch, .threads = options.threads};
    if (communicator.size() > 1) {
      const bool sgd = config.train.optimizer.kind == OptimizerConfig::Kind::sgd;
      const auto floats = static_cast<std::size_t>(config.network.parameter_count);
      const int memory_rows = sgd ? 3 : 4;
      memory_ = communicator.allocate(floats, memory_rows).value();
      exchange_ = std::make_unique<CrewExchange>(
          communicator, clock_, *memory_, memory_rows,
          ExchangeOptions{.threads = options.threads,
                          .plans = exchange_candidates(floats * sizeof(float), /*overlaps=*/false)});
      engine.gradients = memory_->row(0);
      engine.weights = memory_->row(1);
      engine.first_moments = memory_->row(2);
      engine.second_moments = sgd ? std::span<float>() : memory_->row(3);
      engine.collect_moments = [] {};
    }
    engine_ = make_cpu_engine(config, engine).value();
    engine_->start_lane(0, lane_settings(config, 1));
    const Random random(1, "inputs");
    inputs_.resize(static_cast<std::size_t>(rows * element_count(config.network.input)));
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      inputs_[i] = static_cast<float>(random.normal(i));
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      labels_.push_back(static_cast<std::int32_t>(i % kClasses));
    }
  }

  Times run(int steps) {
    CHECK(communicator_.barrier().ok());
    Times times;
    const double cpu_begin = cpu_seconds();
    for (int step = 0; step < steps; ++step) {
      const Microseconds begin = clock_.monotonic();
      const BatchView batch{
          .inputs = inputs_, .labels = labels_, .count = static_cast<std::int64_t>(labels_.size())};
      const Status status = engine_->train(batch, {.exchange = exchange_.get(), .sums = {&sums_, 1}});
      CHECK(status.ok(), status.error().message);
      times.best = std::min(times.best, std::chrono::duration<double>(clock_.monotonic() - begin).count());
    }
    times.cpu = (cpu_seconds() - cpu_begin) / steps;
    return times;
  }

 private:
  const SystemClock clock_;
  Communicator& communicator_;
  std::unique_ptr<FloatMemory> memory_;
  std::unique_ptr<CrewExchange> exchange_;
  std::unique_ptr<Engine> engine_;
  std::vector<float> inputs_;
  std::vector<std::int32_t> labels_;
  MetricSums sums_;
};

void measure(Communicator& world, const ModelConfig& config, const Options& options) {
  const auto alone = make_single_communicator();
  Trainer together(world, config, options);
  std::unique_ptr<Trainer> one;
  if (world.rank() == 0) {
    one = std::make_unique<Trainer>(*alone, config, options);
  }
  together.run(40);  // the exchange is tuned
  double steps = one ? options.seconds / one->run(5).best : 0;
  CHECK(world.broadcast(std::as_writable_bytes(std::span(&steps, 1)), 0).ok());
  const int count = std::max(3, static_cast<int>(steps));
  Times of_one{.cpu = 1e9};
  Times of_all{.cpu = 1e9};
  const auto keep_best = [](Times& best, const Times& times) {
    best = {std::min(best.best, times.best), std::min(best.cpu, times.cpu)};
  };
  for (int round = 0; round < options.rounds; ++round) {
    keep_best(of_all, together.run(count));
    CHECK(world.barrier().ok());
    if (one) {
      keep_best(of_one, one->run(count));
    }
    CHECK(world.barrier().ok());
  }
  if (one) {
    const auto batch = static_cast<double>(options.batch);
    fmt::print(
        "1 rank: {:.3f} ms a step, {:.0f} samples/s\n{} ranks: {:.3f} ms a step, {:.0f} samples/s\n"
        "ratio of the best steps: {:.2f}; of the CPU time of rank 0, {:.3f} and {:.3f} ms: {:.2f}\n",
        of_one.best * 1e3, batch / of_one.best, world.size(), of_all.best * 1e3, batch / of_all.best,
        of_one.best / of_all.best, of_one.cpu * 1e3, of_all.cpu * 1e3, of_one.cpu / of_all.cpu);
  }
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  using namespace regatta;
  CLI::App app("Times training by one rank and by all. Start it with mpirun -n 2 or more.");
  Options options;
  app.add_option("--layers", options.layers, "model.layers, as in an experiment file")->capture_default_str();
  app.add_option("--input", options.input, "shape of a sample")->delimiter(',')->capture_default_str();
  app.add_option("--optimizer", options.optimizer, "train.optimizer")->capture_default_str();
  app.add_option("--batch", options.batch, "rows over all ranks")->capture_default_str();
  app.add_option("--threads", options.threads, "of a rank")->capture_default_str();
  app.add_option("--ranks-per-host", options.ranks_per_host, "takes this machine for several hosts");
  app.add_option("--rounds", options.rounds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  auto session = MpiSession::start();
  if (!session.ok()) {
    fmt::print(stderr, "{}\n", session.error().message);
    return 1;
  }
  const auto layers = parse_yaml("layers: " + options.layers, "--layers");
  const auto train = parse_yaml("optimizer: " + options.optimizer, "--optimizer");
  if (!layers.ok() || !train.ok()) {
    fmt::print(stderr, "{}\n", layers.ok() ? train.error().message : layers.error().message);
    return 1;
  }
  const auto config = read_model(
      *layers, *train,
      {.sample_shape = options.input, .classification = true, .outputs = kClasses, .max_epochs = 10});
  if (!config.ok()) {
    fmt::print(stderr, "{}\n", config.error().message);
    return 1;
  }
  const auto world = (*session)->world_communicator({.ranks_per_host = options.ranks_per_host});
  measure(*world, *config, options);
}
