// train-benchmark: one rank of ours for compare.py. Trains a work as the worker does, so many steps for each
// line of the standard input, and tells how long they took. Between lines it waits without using the
// processor, so that its peer can be measured in turn.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

#include "base/clock.h"
#include "base/host.h"
#include "base/log.h"
#include "collectives/mpi_communicator.h"
#include "models/cpu/engine.h"
#include "worker/batch_source.h"
#include "worker/exchange.h"
#include "worker/exchange_tuner.h"
#include "works.h"

namespace regatta {
namespace {

constexpr std::int64_t kSamples = 8192;
constexpr int kWarmUpSteps = 5;

// A line of /proc/self/status, in bytes.
std::int64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) {
      return std::stoll(line.substr(key.size() + 1)) * 1024;
    }
  }
  return 0;
}

// Of this process's threads.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// From here on VmHWM is the peak since now.
void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

// How gradients travel.
struct ExchangeChoice {
  std::string wire = "fp32";
  std::string overlap = "auto";  // on, off; auto: what is faster
};

std::vector<ExchangePlan> plans_of(std::size_t bytes, bool core_is_free, const std::string& overlap) {
  std::vector<ExchangePlan> plans = exchange_candidates(bytes, core_is_free || overlap == "on");
  std::erase_if(plans, [&](const ExchangePlan& plan) {
    return overlap != "auto" && plan.overlap != (overlap == "on");
  });
  // A buffer smaller than every bucket for overlap goes in one.
  return plans.empty() ? std::vector<ExchangePlan>{{.bucket_bytes = bytes, .overlap = true}} : plans;
}

// The engine, its input and its exchange, as a workbench has them.
class Trainer {
 public:
  static Result<std::unique_ptr<Trainer>> make(Communicator& communicator, const ModelConfig& config,
                                               const Split& data, int lanes, const ExchangeChoice& exchange) {
    auto trainer = std::unique_ptr<Trainer>(new Trainer(communicator, config, data, lanes));
    RETURN_IF_ERROR(trainer->make_engine(config, exchange));
    return trainer;
  }

  Status train(int steps) {
    for (int step = 0; step < steps; ++step) {
      const BatchView* batch = batches_->next();
      if (batch == nullptr) {
        batches_->start_epoch(++epoch_);
        batch = batches_->next();
      }
      RETURN_IF_ERROR(engine_->train(*batch, {.epoch = 0, .exchange = exchange_.get(), .sums = sums_}));
    }
    return {};
  }

 private:
  Trainer(Communicator& communicator, const ModelConfig& config, const Split& data, int lanes)
      : communicator_(communicator),
        batches_(make_host_batches(data, {.global_batch = config.train.batch_size,
                                          .rank = communicator.rank(),
                                          .ranks = communicator.size()})),
        sums_(static_cast<std::size_t>(lanes), MetricSums::classification(config.network.output.back())) {
    batches_->start_epoch(0);
  }

  Status make_engine(const ModelConfig& config, const ExchangeChoice& exchange) {
    const int lanes = static_cast<int>(sums_.size());
    EngineOptions options{.batch_capacity = batches_->batch_capacity(),
                          .global_batch = config.train.batch_size,
                          .lanes = lanes};
    if (communicator_.size() > 1) {
      const std::size_t floats = sums_.size() * static_cast<std::size_t>(config.network.parameter_count);
      const int rows = shared_rows(config.train.optimizer.kind);
      ASSIGN_OR_RETURN(memory_, communicator_.allocate(floats, rows));
      lend_memory(*memory_, rows, options);
      const bool core_is_free = communicator_.host_size() < usable_cores();
      exchange_ = std::make_unique<CrewExchange>(
          communicator_, clock_, *memory_, rows,
          ExchangeOptions{.wire = exchange.wire == "bf16" ? Wire::bf16 : Wire::fp32,
                          .plans = plans_of(floats * sizeof(float), core_is_free, exchange.overlap)});
    }
    ASSIGN_OR_RETURN(engine_, make_cpu_engine(config, options));
    for (int lane = 0; lane < lanes; ++lane) {
      engine_->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane)));
    }
    return {};
  }

  Communicator& communicator_;
  SystemClock clock_;
  std::unique_ptr<BatchSource> batches_;
  std::int64_t epoch_ = 0;
  std::vector<MetricSums> sums_;
  std::unique_ptr<FloatMemory> memory_;
  std::unique_ptr<CrewExchange> exchange_;
  std::unique_ptr<Engine> engine_;
};

struct Options {
  std::string work;
  std::string precision = "fp32";
  int lanes = 1;
  ExchangeChoice exchange;
  std::string orders;  // of a rank under mpirun: a pipe, but for the rank's number
};

// A small engine first, so that the memory of a step is told without the libraries' own.
Result<std::unique_ptr<Trainer>> warm_trainer(Communicator& world, ModelConfig config, const Split& data,
                                              const Options& options, std::int64_t& bytes) {
  const std::int64_t batch = std::exchange(config.train.batch_size, 2 * world.size());
  {
    ASSIGN_OR_RETURN(auto small, Trainer::make(world, config, data, options.lanes, options.exchange));
    RETURN_IF_ERROR(small->train(2));
  }
  config.train.batch_size = batch;
  forget_peak();
  const std::int64_t before = status_bytes("VmRSS");
  ASSIGN_OR_RETURN(auto trainer, Trainer::make(world, config, data, options.lanes, options.exchange));
  RETURN_IF_ERROR(trainer->train(kWarmUpSteps));
  bytes = status_bytes("VmHWM") - before;
  return trainer;
}

Status serve(Communicator& world, const Options& options) {
  ASSIGN_OR_RETURN(const Work work, find_work(options.work));
  ASSIGN_OR_RETURN(const ModelConfig config, model_of(work, options.precision));
  const Split data = made_up_data(work, kSamples);
  std::int64_t bytes = 0;
  ASSIGN_OR_RETURN(const auto trainer, warm_trainer(world, config, data, options, bytes));
  const auto tell = [&](const auto& value) {
    if (world.rank() == 0) {
      fmt::print("{}\n", value);
      std::fflush(stdout);
    }
  };
  tell(bytes);
  const SystemClock clock;
  std::ifstream pipe;
  if (!options.orders.empty()) {
    pipe.open(fmt::format("{}{}", options.orders, world.rank()));
  }
  for (int steps = 0; (pipe.is_open() ? pipe : std::cin) >> steps;) {
    RETURN_IF_ERROR(world.barrier());
    const Microseconds begin = clock.monotonic();
    const double used = cpu_seconds();
    RETURN_IF_ERROR(trainer->train(steps));
    RETURN_IF_ERROR(world.barrier());
    const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
    tell(fmt::format("{} {}", seconds, cpu_seconds() - used));
  }
  return {};
}

Status run(const Options& options) {
  if (options.orders.empty()) {
    return serve(*make_single_communicator(), options);
  }
  ASSIGN_OR_RETURN(const auto session, MpiSession::start());
  return serve(*session->world_communicator(), options);
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  using namespace regatta;
  CLI::App app("Trains a benchmark's network; benchmarks/train/compare.py starts it.");
  Options options;
  app.add_option("work", options.work, "mlp, cnn, …")->required();
  app.add_option("--precision", options.precision, "fp32 or bf16")->capture_default_str();
  app.add_option("--lanes", options.lanes, "trials in the engine")->capture_default_str();
  app.add_option("--wire", options.exchange.wire, "of gradients between hosts: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--overlap", options.exchange.overlap, "exchange while backward goes on: on, off, auto")
      ->check(CLI::IsMember({"on", "off", "auto"}))
      ->capture_default_str();
  app.add_option("--ranks", options.orders,
                 "started by mpirun: read the lines from here, plus the rank's number");
  CLI11_PARSE(app, argc, argv);
  set_up_log({});  // not to standard output, where the answers go
  const Status status = run(options);
  if (!status.ok()) {
    fmt::print(stderr, "{}\n", status.error().message);
    return 1;
  }
}
