// allreduce-benchmark: the time of one allreduce of gradients, ours in shared memory beside MPI_Allreduce, in
// turns in one run. Bus bandwidth as nccl-tests gives it: bytes / time · 2(n-1)/n.
#include <fmt/format.h>
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>

#include "base/clock.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

struct Options {
  std::size_t smallest = 1 << 10;
  std::size_t largest = 256 << 20;
  double seconds = 0.3;  // for each size and way
};

double now() {
  static const SystemClock clock;
  return std::chrono::duration<double>(clock.monotonic()).count();
}

// The median over batches of the time of one call, the slowest rank's.
class Stopwatch {
 public:
  Stopwatch(double seconds, std::size_t bytes) : seconds_(seconds) {
    calls_ = std::clamp<int>(static_cast<int>((1 << 20) / bytes), 1, 100);
  }
  void run(const std::function<void()>& call) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = now();
    for (int i = 0; i < calls_; ++i) {
      call();
    }
    double time = (now() - begin) / calls_;
    MPI_Allreduce(MPI_IN_PLACE, &time, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    times_.push_back(time);
    spent_ += time * calls_;
  }
  bool done() const { return times_.size() >= 5 && (spent_ >= seconds_ || times_.size() >= 2000); }
  double median() {
    std::ranges::sort(times_);
    return times_[times_.size() / 2];
  }

 private:
  double seconds_;
  int calls_ = 1;
  std::vector<double> times_;
  double spent_ = 0;
};

void fail_on(const Status& status) {
  if (!status.ok()) {
    fmt::print(stderr, "{}\n", status.error().message);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

void measure(Communicator& world, std::size_t bytes, const Options& options) {
  const std::size_t count = bytes / sizeof(float);
  auto memory = world.allocate(count);
  fail_on(memory.ok() ? Status() : Status(memory.error()));
  const std::span<float> ours = (*memory)->row();
  std::vector<float> theirs(count);
  Stopwatch our_time(options.seconds, bytes);
  Stopwatch their_time(options.seconds, bytes);
  while (!our_time.done() || !their_time.done()) {
    our_time.run([&] { fail_on(world.allreduce(ours)); });
    their_time.run([&] {
      MPI_Allreduce(MPI_IN_PLACE, theirs.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    });
  }
  const double mine = our_time.median();
  const double mpi = their_time.median();
  if (world.rank() == 0) {
    const double moved = static_cast<double>(bytes) * 2 * (world.size() - 1) / world.size() * 1e-9;
    fmt::print("{:>12} {:>14.2f} {:>14.2f} {:>12.2f} {:>12.2f} {:>8.1f}\n", bytes, mine * 1e6, mpi * 1e6,
               moved / mine, moved / mpi, mpi / mine);
    std::fflush(stdout);
  }
}

// What the memory of this machine allows: all ranks at once add one private buffer to another of their share
// of the data, which reads two floats and writes two, as the allreduce of two ranks does.
void measure_limit(Communicator& world, std::size_t bytes, const Options& options) {
  const std::size_t count = bytes / sizeof(float) / static_cast<std::size_t>(world.size());
  std::vector<float> first(count, 1.0F);
  std::vector<float> second(count, 1.0F);
  Stopwatch time(options.seconds, bytes);
  while (!time.done()) {
    time.run([&] {
      float* const a = first.data();
      float* const b = second.data();
      for (std::size_t i = 0; i < count; ++i) {
        const float sum = a[i] + b[i];
        a[i] = sum;
        b[i] = sum;
      }
    });
  }
  const double seconds = time.median();
  if (world.rank() == 0) {
    fmt::print("{:>12} bytes: the ranks' own memory takes {:.2f} us for the same additions\n", bytes,
               seconds * 1e6);
  }
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  using namespace regatta;
  CLI::App app("Times allreduce. Start it with mpirun -n 2 or more.");
  Options options;
  app.add_option("--smallest", options.smallest, "bytes")->capture_default_str();
  app.add_option("--largest", options.largest, "bytes")->capture_default_str();
  app.add_option("--seconds", options.seconds, "for each size and way")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  auto session = MpiSession::start();
  if (!session.ok()) {
    fmt::print(stderr, "{}\n", session.error().message);
    return 1;
  }
  const auto world = (*session)->world_communicator();
  if (world->rank() == 0) {
    fmt::print("{} ranks\n{:>12} {:>14} {:>14} {:>12} {:>12} {:>8}\n", world->size(), "bytes", "ours us",
               "MPI us", "ours GB/s", "MPI GB/s", "ratio");
  }
  for (std::size_t bytes = options.smallest; bytes <= options.largest; bytes *= 4) {
    measure(*world, bytes, options);
  }
  measure_limit(*world, options.largest, options);
}
