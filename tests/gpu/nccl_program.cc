// Run by mpirun with two ranks or more on one card: each makes the same calls, checks what it got and says
// so.
//   nccl_program sums      alone, and in a captured graph
//   nccl_program absent    rank 1 does not come to the second sum
//   nccl_program killed    rank 1 dies before the second sum
//   nccl_program step      rank 1 does not launch the second step of a graph
//   nccl_program own-cards two ranks on one card without leave
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "collectives/cuda/nccl_communicator.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

constexpr std::size_t kCount = 100'003;
constexpr DeviceLimits kLimits{.join = std::chrono::seconds(30), .operation = std::chrono::seconds(2)};

// One write a line, so that the ranks' lines do not mix.
void say(const std::string& line) {
  const std::string with_end = line + "\n";
  std::fwrite(with_end.data(), 1, with_end.size(), stdout);
  std::fflush(stdout);
}

void expect_ok(const Status& status, std::string_view what) {
  CHECK(status.ok(), fmt::format("{}: {}", what, status.ok() ? "" : status.error().message));
}

void cuda(cudaError_t code) { CHECK(code == cudaSuccess, cudaGetErrorString(code)); }

// A buffer of whole numbers, so that sums are exact in every order.
template <class Number>
class Buffer {
 public:
  explicit Buffer(int rank) : rank_(rank) {
    cuda(cudaMalloc(&data_, kCount * sizeof(Number)));
    fill();
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { (void)cudaFree(data_); }

  void fill() {
    std::vector<Number> values(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      values[i] = static_cast<Number>((rank_ + 1) * static_cast<int>(i % 1000));
    }
    cuda(cudaMemcpy(data_, values.data(), kCount * sizeof(Number), cudaMemcpyHostToDevice));
  }

  // Each element is `factor` times that of rank 0.
  void expect_sum(int factor) const {
    std::vector<Number> sums(kCount);
    cuda(cudaMemcpy(sums.data(), data_, kCount * sizeof(Number), cudaMemcpyDeviceToHost));
    for (std::size_t i = 0; i < kCount; ++i) {
      CHECK(sums[i] == static_cast<Number>(factor * static_cast<int>(i % 1000)),
            fmt::format("sum {} is wrong", i));
    }
  }
  Number* data() { return data_; }

 private:
  int rank_;
  Number* data_ = nullptr;
};

struct Graph {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t launchable = nullptr;
  NcclCommunicator::Captured captured;
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    (void)cudaGraphExecDestroy(launchable);
    (void)cudaGraphDestroy(graph);
  }
};

class Rank {
 public:
  Rank(NcclCommunicator& nccl, Communicator& crew) : nccl_(nccl), crew_(crew), floats_(crew.rank()) {
    cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  Rank(const Rank&) = delete;
  Rank& operator=(const Rank&) = delete;
  ~Rank() { (void)cudaStreamDestroy(stream_); }

  void sums() {
    const int total = crew_.size() * (crew_.size() + 1) / 2;
    sum_floats();
    floats_.expect_sum(total);
    Buffer<double> doubles(crew_.rank());
    expect_ok(nccl_.allreduce(doubles.data(), kCount, stream_), "allreduce of doubles");
    cuda(cudaStreamSynchronize(stream_));
    doubles.expect_sum(total);
    Graph graph;
    capture(graph);
    CHECK(graph.captured.operations == 2 && graph.captured.bytes == 2 * kCount * sizeof(float));
    floats_.fill();
    launch(graph);
    cuda(cudaStreamSynchronize(stream_));
    expect_ok(nccl_.status(), "a step");
    floats_.expect_sum(total * crew_.size());
    say(fmt::format("right: rank {}", crew_.rank()));
  }

  void sum_floats() {
    expect_ok(nccl_.allreduce(floats_.data(), kCount, stream_), "allreduce");
    cuda(cudaStreamSynchronize(stream_));
    expect_ok(nccl_.status(), "allreduce");
  }

  // What the others see of a sum that one rank never comes to.
  void sum_in_vain() {
    const Status called = nccl_.allreduce(floats_.data(), kCount, stream_);
    cuda(cudaStreamSynchronize(stream_));
    tell(called.ok() ? nccl_.status() : called);
  }

  void step_in_vain() {
    Graph graph;
    capture(graph);
    launch(graph);
    cuda(cudaStreamSynchronize(stream_));
    expect_ok(crew_.barrier(), "barrier");
    if (crew_.rank() == 1) {
      stay_away();
    }
    launch(graph);
    cuda(cudaStreamSynchronize(stream_));
    tell(nccl_.status());
  }

  [[noreturn]] void stay_away() {
    while (true) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }

 private:
  // Two sums, of which the second multiplies by the number of ranks.
  void capture(Graph& graph) {
    cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < 2; ++i) {
      expect_ok(nccl_.allreduce(floats_.data(), kCount, stream_), "allreduce in a capture");
    }
    cuda(cudaStreamEndCapture(stream_, &graph.graph));
    cuda(cudaGraphInstantiate(&graph.launchable, graph.graph, 0));
    graph.captured = nccl_.captured();
  }

  void launch(const Graph& graph) {
    expect_ok(nccl_.begin_step(stream_, graph.captured), "begin of a step");
    cuda(cudaGraphLaunch(graph.launchable, stream_));
    expect_ok(nccl_.end_step(stream_), "end of a step");
  }

  void tell(const Status& status) {
    CHECK(!status.ok(), "a rank is missing, and nothing was noticed");
    say("survivor: " + status.error().message);
    const Status next = nccl_.allreduce(floats_.data(), kCount, stream_);
    CHECK(!next.ok(), "a broken communicator went on");
    say("later: " + next.error().message);
  }

  NcclCommunicator& nccl_;
  Communicator& crew_;
  Buffer<float> floats_;
  cudaStream_t stream_ = nullptr;
};

[[noreturn]] void leave(int code) {
  std::fflush(stdout);
  ::_exit(code);  // MPI_Finalize may hang once a rank is gone
}

int run(const std::string& what) {
  const SystemClock clock;
  auto mpi = MpiSession::start();
  CHECK(mpi.ok(), mpi.ok() ? "" : mpi.error().message);
  const auto crew = (*mpi)->world_communicator();
  auto nccl =
      NcclCommunicator::create(*crew, clock, {.shares_cards = what != "own-cards", .limits = kLimits});
  if (what == "own-cards") {
    CHECK(!nccl.ok(), "two ranks on one card went unnoticed");
    say("refused: " + nccl.error().message);
    return 0;
  }
  CHECK(nccl.ok(), nccl.ok() ? "" : nccl.error().message);
  Rank rank(**nccl, *crew);
  if (what == "sums") {
    rank.sums();
    return 0;
  }
  rank.sum_floats();
  if (what == "step") {
    rank.step_in_vain();
  } else {
    expect_ok(crew->barrier(), "barrier");
    if (crew->rank() == 1) {
      if (what == "killed") {
        ::raise(SIGKILL);
      }
      rank.stay_away();
    }
    rank.sum_in_vain();
  }
  leave(0);
}

}  // namespace
}  // namespace regatta

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: nccl_program CASE\n", stderr);
    return 2;
  }
  return regatta::run(arguments[1]);
}
