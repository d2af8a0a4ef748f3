// step-benchmark: where one training step's time goes, operation by operation, on one thread. Matrix work is
// told in GFLOP/s beside the machine's best in a large matrix product of the same precision. Times are the
// CPU time of the thread, the best of several steps, so that a busy machine disturbs them little.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <functional>
#include <limits>

#include "cost.h"
#include "data/loader.h"
#include "models/cpu/aligned_memory.h"
#include "models/cpu/lanes.h"
#include "models/cpu/parallel.h"
#include "models/cpu/program.h"
#include "works.h"

namespace regatta {
namespace {

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The shortest time that a call took.
struct Best {
  double seconds = std::numeric_limits<double>::infinity();
  void time(const std::function<void()>& call) {
    const double begin = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    call();
    seconds = std::min(seconds, cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - begin);
  }
};

struct Row {
  std::string name;
  double forward_flops = 0;
  double backward_flops = 0;
  Best forward;
  Best backward;
};

// 1024³, the best of the machine for matrix products that do not fit its nearest caches.
double peak_gflops(const dnnl::engine& device, dnnl::memory::data_type type) {
  constexpr std::int64_t kSize = 1024;
  const dnnl::memory::desc matrix({kSize, kSize}, type, dnnl::memory::format_tag::ab);
  const dnnl::memory::desc result({kSize, kSize}, dnnl::memory::data_type::f32, dnnl::memory::format_tag::ab);
  const dnnl::matmul::primitive_desc planned(dnnl::matmul::desc(matrix, matrix, result), device);
  const dnnl::matmul product(planned);
  const dnnl::memory left(matrix, device);
  const dnnl::memory right(matrix, device);
  const dnnl::memory out(result, device);
  std::fill_n(static_cast<std::byte*>(left.get_data_handle()), matrix.get_size(), std::byte{0x3f});
  std::fill_n(static_cast<std::byte*>(right.get_data_handle()), matrix.get_size(), std::byte{0x3f});
  dnnl::stream stream(device);
  Best best;
  for (int run = 0; run < 20; ++run) {
    best.time([&] {
      product.execute(stream, {{DNNL_ARG_SRC, left}, {DNNL_ARG_WEIGHTS, right}, {DNNL_ARG_DST, out}});
    });
  }
  return 2e-9 * kSize * kSize * kSize / best.seconds;
}

// One lane's step, taken apart.
class Dissection {
 public:
  Dissection(const ModelConfig& config, const Split& data)
      : config_(config),
        device_(dnnl::engine::kind::cpu, 0),
        stream_(device_),
        lanes_(config_.network, {}),
        program_(device_, Phase::train, kGlobalBatch, lanes_.memory(), config_, kGlobalBatch),
        arena_(program_.arena_bytes()),
        sums_(MetricSums::classification(config.network.output.back())),
        loader_(data, {.global_batch = kGlobalBatch}) {
    program_.bind(arena_.data());
    lanes_.start(0, lane_settings(config, 1));
    for (const Program::Stage& stage : program_.stages()) {
      Row row{.name = stage.name};
      const auto layer = std::ranges::find(config_.network.summary, stage.name,
                                           [](const PlannedLayer& planned) { return planned.layer.name; });
      if (layer != config_.network.summary.end()) {
        row.forward_flops = forward_flops(*layer) * kGlobalBatch;
        const bool reads_input = layer == config_.network.summary.begin();
        row.backward_flops = row.forward_flops * (reads_input ? 1 : 2);
      }
      rows_.push_back(std::move(row));
    }
    loader_.start_epoch(0);
    batch_ = *loader_.next();
  }

  Status run(int steps) {
    Status status;
    const auto check = [&](const Status& result) {
      if (!result.ok()) {
        status = result;
      }
    };
    for (int i = 0; i < steps && status.ok(); ++i) {
      const Step step = make_step();
      RETURN_IF_ERROR(program_.forward(step));  // binds the input, and warms the caches as a step does
      RETURN_IF_ERROR(program_.backward(step));
      for (std::size_t s = 0; s < rows_.size(); ++s) {
        rows_[s].forward.time([&] { check(program_.stages()[s].operation->forward(step)); });
      }
      for (std::size_t s = rows_.size(); s-- > 0;) {
        if (program_.stages()[s].has_backward) {
          rows_[s].backward.time([&] { check(program_.stages()[s].operation->backward(step)); });
        }
      }
      update_.time([&] { update(); });
      whole_.time([&] {
        check(program_.forward(step));
        check(program_.backward(step));
        update();
      });
    }
    measure_input(steps);
    return status;
  }

  void print(double peak) const {
    fmt::print("{:<28} {:>11} {:>9} {:>11} {:>9} {:>7}\n", "operation", "forward us", "GFLOP/s",
               "backward us", "GFLOP/s", "share");
    double flops = 0;
    for (const Row& row : rows_) {
      const double backward = row.backward.seconds < 1 ? row.backward.seconds : 0;
      fmt::print("{:<28} {:>11.1f} {:>9} {:>11.1f} {:>9} {:>6.1f}%\n", row.name, row.forward.seconds * 1e6,
                 rate(row.forward_flops, row.forward.seconds), backward * 1e6,
                 rate(row.backward_flops, backward), share(row.forward.seconds + backward));
      flops += row.forward_flops + row.backward_flops;
    }
    fmt::print("{:<28} {:>11.1f} {:>38.1f}%\n", "optimizer", update_.seconds * 1e6, share(update_.seconds));
    fmt::print("{:<28} {:>11.1f} {:>9}\n", "step", whole_.seconds * 1e6, rate(flops, whole_.seconds));
    fmt::print("{:<28} {:>11.1f}   (another thread's)\n", "input", input_seconds_ * 1e6);
    fmt::print("{:<28} {:>11} {:>9.1f}\n", "matrix product of 1024^3", "", peak);
    fmt::print("{:.1f} MiB of activations, {:.0f} samples/s\n",
               static_cast<double>(program_.arena_bytes()) / (1 << 20), kGlobalBatch / whole_.seconds);
  }

 private:
  Step make_step() {
    Step step{.stream = stream_, .threads = 1, .batch = {}, .lanes = lanes_.runs(), .sums = {&sums_, 1}};
    step.batch = {.inputs = batch_.inputs, .labels = batch_.labels, .count = batch_.count};
    return step;
  }

  void update() {
    lanes_.plan_update(0);
    lanes_.update_all({}, 1);
    lanes_.end_update(1);
  }

  // All CPU time of the process while batches are only taken.
  void measure_input(int batches) {
    const double begin = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < batches; ++i) {
      if (loader_.next() == nullptr) {
        loader_.start_epoch(0);
      }
    }
    input_seconds_ = (cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - begin) / batches;
  }

  static std::string rate(double flops, double seconds) {
    return flops > 0 ? fmt::format("{:.1f}", flops / seconds * 1e-9) : "";
  }
  double share(double seconds) const { return 100 * seconds / whole_.seconds; }

  ModelConfig config_;
  dnnl::engine device_;
  dnnl::stream stream_;
  Lanes lanes_;
  Program program_;
  AlignedMemory arena_;
  MetricSums sums_;
  Loader loader_;
  Batch batch_;
  std::vector<Row> rows_;
  Best update_;
  Best whole_;
  double input_seconds_ = 0;
};

Status run(const std::string& name, const std::string& precision, int steps) {
  ASSIGN_OR_RETURN(const Work work, find_work(name));
  ASSIGN_OR_RETURN(const ModelConfig config, model_of(work, precision));
  const ThreadCount threads(1);
  Dissection dissection(config, made_up_data(work, 4 * kGlobalBatch));
  RETURN_IF_ERROR(dissection.run(steps));
  dissection.print(peak_gflops(dnnl::engine(dnnl::engine::kind::cpu, 0), precision == "bf16"
                                                                             ? dnnl::memory::data_type::bf16
                                                                             : dnnl::memory::data_type::f32));
  return {};
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  using namespace regatta;
  CLI::App app("Tells where the time of one training step goes.");
  std::string work;
  std::string precision = "fp32";
  int steps = 30;
  app.add_option("work", work, "mlp, cnn, resnet, …")->required();
  app.add_option("--precision", precision, "fp32 or bf16")->capture_default_str();
  app.add_option("--steps", steps, "the best of so many")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const Status status = run(work, precision, steps);
  if (!status.ok()) {
    fmt::print(stderr, "{}\n", status.error().message);
    return 1;
  }
}
