// allreduce-benchmark: the best time of one allreduce of gradients, ours in shared memory beside
// MPI_Allreduce and, for large ones, beside what the machine's memory allows, in turns in one run. Bus
// bandwidth as nccl-tests gives it: bytes / time · 2(n-1)/n.
#include <fmt/format.h>
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>

#include "base/clock.h"
#include "base/multiversion.h"
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

// The best batch's time of one call, the slowest rank's: other batches are disturbed by what else the machine
// does.
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
  double best() const { return *std::ranges::min_element(times_); }

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

// What memory allows: all ranks at once add one private buffer to another of their share of the data, which
// reads two floats and writes two, as the allreduce of two ranks does.
class MemoryLimit {
 public:
  MemoryLimit(std::size_t count, int ranks)
      : first_(count / static_cast<std::size_t>(ranks), 1.0F), second_(first_) {}
  void operator()() { add(first_.data(), second_.data(), first_.size()); }

 private:
  REGATTA_MULTIVERSION
  static void add(float* __restrict a, float* __restrict b, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const float sum = a[i] + b[i];
      a[i] = sum;
      b[i] = sum;
    }
  }

  std::vector<float> first_;
  std::vector<float> second_;
};

constexpr std::size_t kBeyondCaches = std::size_t{64} << 20;

void measure(Communicator& world, std::size_t bytes, const Options& options) {
  const std::size_t count = bytes / sizeof(float);
  auto memory = world.allocate(count);
  fail_on(memory.ok() ? Status() : Status(memory.error()));
  const std::span<float> ours = (*memory)->row();
  std::vector<float> theirs(count);
  MemoryLimit limit(bytes >= kBeyondCaches ? count : 0, world.size());
  Stopwatch our_time(options.seconds, bytes);
  Stopwatch their_time(options.seconds, bytes);
  Stopwatch limit_time(options.seconds, bytes);
  while (!our_time.done() || !their_time.done()) {
    our_time.run([&] { fail_on(world.allreduce(ours)); });
    limit_time.run([&] { limit(); });
    their_time.run([&] {
      MPI_Allreduce(MPI_IN_PLACE, theirs.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    });
  }
  const double mine = our_time.best();
  const double mpi = their_time.best();
  if (world.rank() == 0) {
    const double moved = static_cast<double>(bytes) * 2 * (world.size() - 1) / world.size() * 1e-9;
    const std::string of_limit =
        bytes >= kBeyondCaches ? fmt::format("{:.0f} %", 100 * limit_time.best() / mine) : "";
    fmt::print("{:>12} {:>14.2f} {:>14.2f} {:>12.2f} {:>12.2f} {:>8.1f} {:>10}\n", bytes, mine * 1e6,
               mpi * 1e6, moved / mine, moved / mpi, mpi / mine, of_limit);
    std::fflush(stdout);
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
    fmt::print("{} ranks\n{:>12} {:>14} {:>14} {:>12} {:>12} {:>8} {:>10}\n", world->size(), "bytes",
               "ours us", "MPI us", "ours GB/s", "MPI GB/s", "ratio", "of memory");
  }
  for (std::size_t bytes = options.smallest; bytes <= options.largest; bytes *= 2) {
    measure(*world, bytes, options);
  }
}
