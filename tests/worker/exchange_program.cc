// Run by mpirun: the ranks train one network, once for each way of summing gradients, and check that all ways
// and all ranks have the same bits. One machine is taken for several hosts, too.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "collectives/mpi_communicator.h"
#include "support.h"
#include "worker/exchange.h"

namespace regatta {
namespace {

constexpr int kSteps = 4;
constexpr std::int64_t kRows = 12;  // of the global batch; for 1, 2, 3 and 4 ranks

// Five tiles and a bit, so that every rank has a share, and batch statistics between the buckets.
const LayerCase kCase{"", "[dense: 100, batch_norm, relu, dense: 50, relu, dense: 3]", {60}};

// How a run differs from the others.
struct Way {
  std::string name;
  ExchangePlan plan;
  bool shares = true;  // the update
  int threads = 1;
};

LaneState state_of_leader(Communicator& communicator, const LaneState& mine) {
  LaneState state = mine;
  for (NamedTensor& tensor : state.tensors) {
    const Status status = communicator.broadcast(std::as_writable_bytes(std::span(tensor.values)), 0);
    CHECK(status.ok(), status.error().message);
  }
  return state;
}

LaneState train(Communicator& communicator, const ModelConfig& config, const Way& way, Wire wire) {
  const SystemClock clock;
  const int rows = way.shares ? shared_rows(config.train.optimizer.kind) : 1;
  auto memory = communicator.allocate(static_cast<std::size_t>(config.network.parameter_count), rows).value();
  CrewExchange exchange(communicator, clock, *memory, rows,
                        {.wire = wire, .threads = way.threads, .plans = {way.plan}});
  const std::int64_t share = kRows / communicator.size();
  EngineOptions options{
      .batch_capacity = share, .global_batch = kRows, .evaluation_capacity = share, .threads = way.threads};
  lend_memory(*memory, rows, options);
  const auto engine = make_cpu_engine(config, options).value();
  engine->start_lane(0, lane_settings(config, 1));
  auto sums = metric_sums(kCase, 1);
  for (int step = 0; step < kSteps; ++step) {
    const TestBatch batch = random_batch(kCase, kRows, 100 + static_cast<std::uint64_t>(step));
    const TestBatch mine =
        rows_of(kCase, batch, share * communicator.rank(), share * (communicator.rank() + 1));
    const Status status = engine->train(mine.view(), {.exchange = &exchange, .sums = sums});
    CHECK(status.ok(), status.error().message);
  }
  const LaneState state = engine->save_lane(0);  // every rank brings the shares together, and then they part
  CHECK(communicator.barrier().ok());
  CHECK(same_bits(state, state_of_leader(communicator, state)), way.name + ": two ranks differ");
  return state;
}

double largest_difference(const LaneState& a, const LaneState& b) {
  double largest = 0;
  for (std::size_t t = 0; t < a.tensors.size(); ++t) {
    for (std::size_t i = 0; i < a.tensors[t].values.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(a.tensors[t].values[i]) -
                                           static_cast<double>(b.tensors[t].values[i])));
    }
  }
  return largest;
}

void check_ways(Communicator& communicator, const ModelConfig& config, Wire wire) {
  constexpr std::size_t kTile = kShareTile * sizeof(float);
  const std::vector<Way> ways = {
      {"one bucket", {.bucket_bytes = 1 << 20}},
      {"every rank updates all", {.bucket_bytes = 1 << 20}, /*shares=*/false},
      {"small buckets", {.bucket_bytes = 1000}},
      {"buckets of a tile", {.bucket_bytes = kTile}},
      {"beside backward", {.bucket_bytes = kTile, .overlap = true}},
      {"beside backward, all", {.bucket_bytes = 3 * kTile, .overlap = true}, /*shares=*/false},
      {"two threads", {.bucket_bytes = 1 << 20}, /*shares=*/true, /*threads=*/2},
  };
  const LaneState first = train(communicator, config, ways[0], wire);
  for (std::size_t i = 1; i < ways.size(); ++i) {
    const LaneState other = train(communicator, config, ways[i], wire);
    CHECK(ways[i].threads > 1 ? largest_difference(first, other) < 1e-4 : same_bits(first, other),
          fmt::format("'{}' differs from '{}' by {}", ways[i].name, ways[0].name,
                      largest_difference(first, other)));
  }
}

int run() {
  auto session = MpiSession::start();
  CHECK(session.ok(), session.ok() ? "" : session.error().message);
  const auto world = (*session)->world_communicator();
  for (const char* optimizer : {"{type: sgd, lr: 0.1, momentum: 0.9}", "{type: adam, lr: 0.01}"}) {
    const ModelConfig config = model_of(kCase, fmt::format("{{optimizer: {}}}", optimizer));
    check_ways(*world, config, Wire::fp32);
    for (int ranks_per_host = 1; ranks_per_host < world->size(); ++ranks_per_host) {
      const auto hosts = (*session)->world_communicator({.ranks_per_host = ranks_per_host});
      check_ways(*hosts, config, Wire::fp32);
      check_ways(*hosts, config, Wire::bf16);
    }
  }
  std::printf("rank %d: ok\n", world->rank());
  return 0;
}

}  // namespace
}  // namespace regatta

int main() { return regatta::run(); }
