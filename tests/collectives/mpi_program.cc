// Run by mpirun: each rank makes the same calls, checks what it got and says so. `mpi_program CASE`.
//   operations  every collective, against the answer known beforehand
//   absent      rank 1 sleeps through an allreduce
//   killed      rank 1 dies before a barrier
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "base/random.h"
#include "collectives/mpi_collectives.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

// One write a line, so that the ranks' lines do not mix.
void say(const std::string& line) {
  const std::string with_end = line + "\n";
  std::fwrite(with_end.data(), 1, with_end.size(), stdout);
  std::fflush(stdout);
}

void expect_ok(const Status& status, std::string_view what) {
  CHECK(status.ok(), fmt::format("{}: {}", what, status.ok() ? "" : status.error().message));
}

std::vector<float> values_of(int rank, std::size_t count) {
  const Random random(11, "values");
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(random.substream(static_cast<std::uint64_t>(rank)).normal(i) *
                                   std::pow(10, i % 7));
  }
  return values;
}

void check_allreduce(Communicator& communicator, std::size_t count) {
  std::vector<float> sums = values_of(communicator.rank(), count);
  expect_ok(communicator.allreduce(std::span<float>(sums)), "allreduce");
  for (std::size_t i = 0; i < count; ++i) {
    double expected = 0;
    double magnitude = 0;
    for (int rank = 0; rank < communicator.size(); ++rank) {
      const double term = values_of(rank, i + 1)[i];
      expected += term;
      magnitude += std::abs(term);
    }
    CHECK(std::abs(sums[i] - expected) <= 1e-6 * magnitude, "allreduce gave a wrong sum");
  }
}

void check_same_bits(Communicator& communicator, std::size_t count) {
  std::vector<float> sums = values_of(communicator.rank(), count);
  expect_ok(communicator.allreduce(std::span<float>(sums)), "allreduce");
  const auto mine = std::as_bytes(std::span<const float>(sums));
  std::vector<std::byte> gathered(mine.size() * static_cast<std::size_t>(communicator.size()));
  expect_ok(communicator.allgather(mine, gathered), "allgather");
  for (int rank = 0; rank < communicator.size(); ++rank) {
    CHECK(std::memcmp(gathered.data() + static_cast<std::size_t>(rank) * mine.size(), mine.data(),
                      mine.size()) == 0,
          "two ranks have different bits");
  }
}

void check_broadcast(Communicator& communicator) {
  for (int root = 0; root < communicator.size(); ++root) {
    std::vector<float> data = values_of(communicator.rank(), 10);
    expect_ok(communicator.broadcast(std::as_writable_bytes(std::span(data)), root), "broadcast");
    CHECK(data == values_of(root, 10), "broadcast gave another rank's values");
  }
}

void check_reduce_scatter(Communicator& communicator) {
  constexpr std::size_t kSlice = 7;
  const auto ranks = static_cast<std::size_t>(communicator.size());
  std::vector<float> data(kSlice * ranks);
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<float>(i) + static_cast<float>(communicator.rank());
  }
  std::vector<float> slice(kSlice);
  expect_ok(communicator.reduce_scatter(data, slice), "reduce_scatter");
  for (std::size_t i = 0; i < kSlice; ++i) {
    const std::size_t element = static_cast<std::size_t>(communicator.rank()) * kSlice + i;
    CHECK(slice[i] == static_cast<float>(element * ranks + ranks * (ranks - 1) / 2),
          "reduce_scatter gave a wrong sum");
  }
}

void check_operations(Communicator& communicator) {
  check_allreduce(communicator, 50);
  check_same_bits(communicator, 1);
  check_same_bits(communicator, 100'000);
  check_same_bits(communicator, 65'537);  // one float more than two slots hold
  check_broadcast(communicator);
  check_reduce_scatter(communicator);
  std::vector<double> doubles = {1.0 + communicator.rank()};
  expect_ok(communicator.allreduce(std::span<double>(doubles)), "allreduce of doubles");
  CHECK(doubles[0] == communicator.size() * (communicator.size() + 1) / 2);
  expect_ok(communicator.allreduce(std::span<float>()), "allreduce of nothing");
  expect_ok(communicator.allgather({}, {}), "allgather of nothing");
  expect_ok(communicator.barrier(), "barrier");
}

void check_split(MpiSession& session) {
  const MpiLaunch world = session.world();
  const auto half = session.split(world.rank % 2);
  CHECK(half->rank() == world.rank / 2);
  CHECK(half->size() == (world.size + 1 - world.rank % 2) / 2);
  check_operations(*half);
  const auto followers = session.split(world.rank == 0 ? -1 : 5);
  CHECK((followers == nullptr) == (world.rank == 0));
  if (followers) {
    CHECK(followers->rank() == world.rank - 1);
    check_operations(*followers);
  }
}

// In place, in memory that the ranks share: any range of it, next to values that must stay.
void check_allocated(Communicator& communicator) {
  for (const std::size_t count : {1UL, 33UL, 100'000UL}) {
    const auto memory = communicator.allocate(count + 2);
    expect_ok(memory.ok() ? Status() : Status(memory.error()), "allocate");
    const std::span<float> floats = (*memory)->floats();
    CHECK(floats.size() == count + 2 && floats[0] == 0 && floats[count + 1] == 0);
    for (int repetition = 0; repetition < 3; ++repetition) {
      std::ranges::copy(values_of(communicator.rank(), count), floats.begin() + 1);
      std::vector<float> expected(values_of(communicator.rank(), count));
      expect_ok(communicator.allreduce(floats.subspan(1, count)), "allreduce in place");
      expect_ok(communicator.allreduce(std::span<float>(expected)), "allreduce");
      CHECK(std::ranges::equal(floats.subspan(1, count), expected), "in place and copied differ");
      CHECK(floats[0] == 0 && floats[count + 1] == 0, "allreduce wrote beyond its range");
    }
  }
}

int run_operations(MpiSession& session) {
  const auto world = session.world_communicator();
  check_operations(*world);
  check_allocated(*world);
  MpiCommunicator by_messages(MPI_COMM_WORLD, /*owns=*/false);
  check_operations(by_messages);
  // Chunks of three elements take the way of buffers that are longer than an MPI count.
  MpiCommunicator in_chunks(MPI_COMM_WORLD, /*owns=*/false, /*largest_count=*/3);
  check_allreduce(in_chunks, 50);
  check_same_bits(in_chunks, 50);
  check_broadcast(in_chunks);
  check_reduce_scatter(in_chunks);
  check_split(session);
  say(fmt::format("rank {} of {}: ok", world->rank(), world->size()));
  return 0;
}

// What every rank that was not lost must see: an error in time that says which operation, and a broken
// communicator after it. They leave without MPI_Finalize, which may hang.
[[noreturn]] void expect_timeout_and_leave(Communicator& world, const Status& status) {
  CHECK(!status.ok() && status.error().kind == Error::Kind::timeout, "the operation should have timed out");
  const Status after = world.barrier();
  CHECK(!after.ok() && after.error().message.find("after an earlier error") != std::string::npos);
  say(fmt::format("survivor: {}", status.error().message));
  ::_exit(0);
}

[[noreturn]] void run_absent(MpiSession& session) {
  const auto world = session.world_communicator();
  expect_ok(world->barrier(), "barrier");
  if (world->rank() == 1) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    ::_exit(0);
  }
  std::vector<float> gradients(256);
  expect_timeout_and_leave(
      *world, world->allreduce(std::span<float>(gradients), {.timeout = std::chrono::milliseconds(700)}));
}

[[noreturn]] void run_killed(MpiSession& session) {
  const auto world = session.world_communicator();
  expect_ok(world->barrier(), "barrier");
  if (world->rank() == 1) {
    ::kill(::getpid(), SIGKILL);
  }
  expect_timeout_and_leave(*world, world->barrier({.timeout = std::chrono::milliseconds(700)}));
}

int run(std::string_view name) {
  CHECK(started_by_mpi(), "run this program with mpirun");
  auto session = MpiSession::start();
  CHECK(session.ok(), session.ok() ? "" : session.error().message);
  if (name == "absent") {
    run_absent(**session);
  }
  if (name == "killed") {
    run_killed(**session);
  }
  CHECK(name == "operations", "unknown case");
  return run_operations(**session);
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) { return regatta::run(argc > 1 ? argv[1] : "operations"); }
