// allreduce-benchmark: an allreduce of gradients in shared memory beside MPI_Allreduce, and beside a plain
// loop that moves the same bytes, in turns in one run. Bus bandwidth as nccl-tests gives it: bytes / time ·
// 2(n-1)/n.
#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "collectives/mpi_communicator.h"
#include "plain_sum.h"

namespace regatta {
namespace {

struct Options {
  std::size_t smallest = 1 << 10;
  std::size_t largest = 256 << 20;
  int rounds = 15;
  std::string json;
};

constexpr double kTurnSeconds = 0.02;  // of one way in one round
constexpr double kClockStep = 1e-6;    // a time below it reads as zero
constexpr int kMostCalls = 20'000;

double now() {
  static const SystemClock clock;
  return std::chrono::duration<double>(clock.monotonic()).count();
}

// One way of summing: calls back to back, and the time of one, from the first rank's begin to the last one's
// end. A call before them is not counted: it brings the data to where the calls leave them.
class Contestant {
 public:
  explicit Contestant(std::function<void()> call) : call_(std::move(call)) {
    turn();  // first touch
    calls_ = std::clamp(static_cast<int>(kTurnSeconds / std::max(turn(), kClockStep)), 1, kMostCalls);
  }
  void measure() { times_.push_back(turn()); }
  const std::vector<double>& times() const { return times_; }

 private:
  double turn() {
    call_();
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = now();
    for (int i = 0; i < calls_; ++i) {
      call_();
    }
    double ends[2] = {now(), -begin};
    MPI_Allreduce(MPI_IN_PLACE, ends, 2, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return (ends[0] + ends[1]) / calls_;
  }

  std::function<void()> call_;
  int calls_ = 1;  // of a turn
  std::vector<double> times_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

double median_ratio(const Contestant& over, const Contestant& under) {
  std::vector<double> ratios;
  std::ranges::transform(over.times(), under.times(), std::back_inserter(ratios), std::divides<>());
  return median(std::move(ratios));
}

void fail_on(const Status& status) {
  if (!status.ok()) {
    fmt::print(stderr, "{}\n", status.error().message);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

template <class T>
T value_or_fail(Result<T> result) {
  fail_on(result.ok() ? Status() : Status(result.error()));
  return std::move(result).value();
}

void print_row(std::size_t bytes, int ranks, const Contestant& ours, const Contestant& theirs,
               const Contestant& plain, double moved) {
  const double bus = static_cast<double>(bytes) * 2 * (ranks - 1) / ranks * 1e-9;
  const double time = median(ours.times());
  const double mpi = median(theirs.times());
  fmt::print("{:>10} {:>11.2f} {:>11.2f} {:>10.2f} {:>10.2f} {:>7.1f}", bytes, time * 1e6, mpi * 1e6,
             bus / time, bus / mpi, median_ratio(theirs, ours));
  // The plain sum of more than two rows is no limit: its loop over the ranks costs more than the memory.
  if (ranks == 2) {
    fmt::print(" {:>11.1f} {:>8.0f} %\n", moved * 1e-9 / median(plain.times()),
               100 * median_ratio(plain, ours));
  } else {
    fmt::print(" {:>11} {:>10}\n", "-", "-");
  }
  std::fflush(stdout);
}

// Every round measures each way once, and begins with another one.
nlohmann::json measure(Communicator& world, std::size_t bytes, const Options& options) {
  const std::size_t count = bytes / sizeof(float);
  const auto memory = value_or_fail(world.allocate(count));
  const std::span<float> row = memory->row();
  std::vector<float> private_row(count);
  const auto plain_sum = value_or_fail(PlainSum::make(count));
  Contestant ours([&] { fail_on(world.allreduce(row)); });
  Contestant plain(std::cref(plain_sum));
  Contestant theirs([&] {
    MPI_Allreduce(MPI_IN_PLACE, private_row.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
  });
  Contestant* const ways[] = {&ours, &plain, &theirs};
  for (int round = 0; round < options.rounds; ++round) {
    for (int i = 0; i < 3; ++i) {
      ways[(round + i) % 3]->measure();
    }
  }
  if (world.rank() == 0) {
    print_row(bytes, world.size(), ours, theirs, plain, plain_sum.moved_bytes());
  }
  return {{"bytes", bytes}, {"ours", ours.times()}, {"mpi", theirs.times()}, {"plain", plain.times()}};
}

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown";
}

long cores() { return ::sysconf(_SC_NPROCESSORS_ONLN); }

void print_head(int ranks) {
  fmt::print(
      "{} ranks on {} cores{}\n", ranks, cores(),
      ranks > cores() ? ": they take turns, and times are the scheduler's more than the memory's" : "");
  fmt::print("{:>10} {:>11} {:>11} {:>10} {:>10} {:>7} {:>11} {:>10}\n", "bytes", "ours us", "MPI us",
             "ours GB/s", "MPI GB/s", "ratio", "plain GB/s", "of plain");
}

void write_results(const Options& options, const std::string& command, int ranks, nlohmann::json sizes) {
  char version[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(version, &length);
  const std::string mpi(version, static_cast<std::size_t>(length));
  const auto today =
      std::chrono::floor<std::chrono::days>(std::chrono::sys_time<Microseconds>(SystemClock().wall()));
  const std::chrono::year_month_day date(today);
  const nlohmann::ordered_json results = {
      {"date", fmt::format("{}-{:02}-{:02}", static_cast<int>(date.year()),
                           static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()))},
      {"command", command},
      {"processor", processor()},
      {"cores", cores()},
      {"ranks", ranks},
      {"mpi", mpi.substr(0, mpi.find(','))},
      {"unit", "seconds of one call, a figure a round"},
      {"sizes", std::move(sizes)}};
  std::ofstream(options.json) << results.dump(1) << "\n";
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  using namespace regatta;
  CLI::App app("Times allreduce on one host. Start it with mpirun -n 2 or more.");
  Options options;
  app.add_option("--smallest", options.smallest, "bytes")
      ->check(CLI::Range(4, 1 << 30))
      ->capture_default_str();
  app.add_option("--largest", options.largest, "bytes")->check(CLI::Range(4, 1 << 30))->capture_default_str();
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--json", options.json, "write every round's figures there, too");
  CLI11_PARSE(app, argc, argv);
  auto session = MpiSession::start();
  if (!session.ok()) {
    fmt::print(stderr, "{}\n", session.error().message);
    return 1;
  }
  const auto world = (*session)->world_communicator();
  if (world->host_size() < world->size()) {
    fmt::print(stderr, "the ranks are not on one host: nothing here would be comparable\n");
    return 1;
  }
  if (world->rank() == 0) {
    print_head(world->size());
  }
  nlohmann::json sizes = nlohmann::json::array();
  for (std::size_t bytes = options.smallest; bytes <= options.largest; bytes *= 2) {
    sizes.push_back(measure(*world, bytes, options));
  }
  if (world->rank() == 0 && !options.json.empty()) {
    std::string command = fmt::format("mpirun -n {}", world->size());
    for (int i = 0; i < argc; ++i) {
      command += fmt::format(" {}", argv[i]);
    }
    write_results(options, command, world->size(), std::move(sizes));
  }
}
