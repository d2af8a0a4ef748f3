// Run by mpirun: each rank makes the same calls, checks what it got and says so. `mpi_program CASE`.
//   operations  every collective, against the answer known beforehand
//   hosts N     the same on real hosts, the first of which has N ranks
//   absent      rank 1 sleeps through an allreduce
//   absent-host the same, with each rank taken for a host of its own
//   killed      rank 1 dies before a barrier
//   unfreed     rank 1 sleeps while the others give back shared memory
//   abandoned   rank 0 alone gives up
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

// Ranks are added in their order within a host, and hosts in theirs.
std::vector<float> sum_in_order(int ranks, int ranks_per_host, std::size_t count) {
  std::vector<float> sums(count);
  for (int host = 0; host < ranks; host += ranks_per_host) {
    std::vector<float> of_host = values_of(host, count);
    for (int rank = host + 1; rank < std::min(host + ranks_per_host, ranks); ++rank) {
      const std::vector<float> terms = values_of(rank, count);
      std::ranges::transform(of_host, terms, of_host.begin(), std::plus<>());
    }
    std::ranges::transform(sums, of_host, sums.begin(), std::plus<>());
  }
  return sums;
}

// In place, in memory that the ranks share: any range of it, next to values that must stay.
void check_allocated(Communicator& communicator, int ranks_per_host) {
  for (const std::size_t count : {1UL, 33UL, 100'000UL}) {
    const auto memory = communicator.allocate(count + 2);
    expect_ok(memory.ok() ? Status() : Status(memory.error()), "allocate");
    const std::span<float> floats = (*memory)->row();
    CHECK(floats.size() == count + 2 && floats[0] == 0 && floats[count + 1] == 0);
    for (int repetition = 0; repetition < 3; ++repetition) {
      std::ranges::copy(values_of(communicator.rank(), count), floats.begin() + 1);
      expect_ok(communicator.allreduce(floats.subspan(1, count)), "allreduce in place");
      CHECK(std::ranges::equal(floats.subspan(1, count),
                               sum_in_order(communicator.size(), ranks_per_host, count)),
            "the sum was made in another order");
      CHECK(floats[0] == 0 && floats[count + 1] == 0, "allreduce wrote beyond its range");
    }
  }
}

// Of a size for which the system may give huge pages.
void check_large(Communicator& communicator) {
  constexpr std::size_t kCount = (std::size_t{5} << 20) / sizeof(float) + 3;
  const auto memory = communicator.allocate(kCount, 2);
  expect_ok(memory.ok() ? Status() : Status(memory.error()), "allocate");
  const auto value_at = [](int rank, std::size_t i) {
    return static_cast<float>((i * 7 + static_cast<std::size_t>(rank)) % 1000);
  };
  const std::span<float> sums = (*memory)->row(1);
  CHECK(communicator.host_size() == 1 || reinterpret_cast<std::uintptr_t>(sums.data()) % 64 == 0,
        "no vector is aligned");
  for (std::size_t i = 0; i < kCount; ++i) {
    sums[i] = value_at(communicator.rank(), i);
  }
  expect_ok(communicator.allreduce(sums), "allreduce in place");
  for (std::size_t i = 0; i < kCount; ++i) {
    float expected = 0;
    for (int rank = 0; rank < communicator.size(); ++rank) {
      expected += value_at(rank, i);
    }
    CHECK(sums[i] == expected, "a large allreduce gave a wrong sum");
  }
  CHECK(std::ranges::all_of((*memory)->row(0), [](float value) { return value == 0; }),
        "allreduce wrote beyond its range");
}

// What an update does: each rank deals with its share and publishes what came of it.
void check_shares(Communicator& communicator, int ranks_per_host) {
  constexpr std::size_t kCount = 5 * kShareTile + 17;
  const auto memory = communicator.allocate(kCount, 2);
  expect_ok(memory.ok() ? Status() : Status(memory.error()), "allocate");
  const std::span<float> terms = (*memory)->row(0);
  const std::span<float> results = (*memory)->row(1);
  const std::vector<float> mine = values_of(communicator.rank(), kCount);
  const std::vector<float> expected = sum_in_order(communicator.size(), ranks_per_host, kCount);
  for (const std::size_t cut : {kCount, kShareTile, 3 * kShareTile, std::size_t{1000}}) {
    std::ranges::copy(mine, terms.begin());
    std::vector<char> used(kCount, 0);
    for (std::size_t begin = 0; begin < kCount; begin += cut) {
      const auto use = [&](std::size_t from, std::size_t to) {
        for (std::size_t i = begin + from; i < begin + to; ++i) {
          results[i] = 2 * terms[i];
          used[i] += 1;
        }
        (*memory)->publish(1, begin + from, begin + to);
      };
      expect_ok(communicator.sum_shares(terms.subspan(begin, std::min(cut, kCount - begin)), use), "sum");
    }
    expect_ok(communicator.settle(), "settle");
    for (std::size_t i = 0; i < kCount; ++i) {
      CHECK(used[i] <= 1 && (used[i] == 0 || terms[i] == expected[i]), "a share has a wrong sum");
      CHECK(results[i] == 2 * expected[i], "what was published is not there");
    }
    expect_ok(communicator.barrier(), "barrier");
    (*memory)->collect(0);
    CHECK(std::ranges::equal(terms, expected), "the shares do not make up the whole");
    expect_ok(communicator.barrier(), "barrier");
  }
}

MPI_Comm copy_of_world() {
  MPI_Comm copy = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &copy);
  return copy;
}

// Within the range of fp16.
std::vector<float> small_values_of(int rank, std::size_t count) {
  std::vector<float> values = values_of(rank, count);
  std::ranges::transform(values, values.begin(), [](float value) { return value / 1000; });
  return values;
}

// The terms are rounded, and the sum. On one host nothing is, because nothing travels.
void check_wire(Communicator& communicator, Wire wire, double error) {
  constexpr std::size_t kCount = 3 * kShareTile + 5;
  const auto memory = communicator.allocate(kCount);
  expect_ok(memory.ok() ? Status() : Status(memory.error()), "allocate");
  const std::span<float> sums = (*memory)->row();
  std::vector<float> first;
  for (const std::size_t cut : {kCount, std::size_t{999}}) {
    std::ranges::copy(small_values_of(communicator.rank(), kCount), sums.begin());
    for (std::size_t begin = 0; begin < kCount; begin += cut) {
      expect_ok(communicator.allreduce(sums.subspan(begin, std::min(cut, kCount - begin)), {.wire = wire}),
                "sum");
    }
    CHECK(first.empty() || std::ranges::equal(first, sums), "the bits depend on how the data are cut");
    first.assign(sums.begin(), sums.end());
  }
  std::vector<double> exact(kCount);
  std::vector<double> magnitude(kCount);
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const std::vector<float> terms = small_values_of(rank, kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      exact[i] += terms[i];
      magnitude[i] += std::abs(terms[i]);
    }
  }
  double worst = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const double off = std::abs(first[i] - exact[i]);
    worst = std::max(worst, std::max(off - 1e-6, 0.0) / magnitude[i]);
  }
  CHECK(worst <= 2 * error, fmt::format("a sum is off by {} of its terms", worst));
  const auto mine = std::as_bytes(std::span<const float>(first));
  std::vector<std::byte> of_leader(mine.begin(), mine.end());
  expect_ok(communicator.broadcast(of_leader, 0), "broadcast");
  CHECK(std::ranges::equal(mine, of_leader), "two ranks have different bits");
}

// Hosts that need not have equally many ranks.
void check_hosts(Communicator& communicator, int ranks_per_host) {
  check_operations(communicator);
  check_allocated(communicator, ranks_per_host);
  check_large(communicator);
  check_shares(communicator, ranks_per_host);
  check_wire(communicator, Wire::fp32, 1e-6);
  check_wire(communicator, Wire::bf16, std::pow(2, -8));
  check_wire(communicator, Wire::fp16, std::pow(2, -11));
}

int run_operations(MpiSession& session) {
  const auto world = session.world_communicator();
  check_operations(*world);
  check_allocated(*world, world->size());
  check_large(*world);
  check_shares(*world, world->size());
  check_wire(*world, Wire::bf16, 1e-6);  // on one host nothing travels
  for (int ranks_per_host = 1; ranks_per_host < world->size(); ++ranks_per_host) {
    check_hosts(*session.world_communicator({.ranks_per_host = ranks_per_host}), ranks_per_host);
  }
  MpiCommunicator by_messages(copy_of_world());
  check_operations(by_messages);
  // Chunks of three elements take the way of buffers that are longer than an MPI count.
  MpiCommunicator in_chunks(copy_of_world(), nullptr, /*largest_count=*/3);
  check_allreduce(in_chunks, 50);
  check_same_bits(in_chunks, 50);
  check_broadcast(in_chunks);
  check_reduce_scatter(in_chunks);
  check_split(session);
  say(fmt::format("rank {} of {}: ok", world->rank(), world->size()));
  return 0;
}

// On real ones: `ranks_per_host` is that of the first.
int run_on_hosts(MpiSession& session, int ranks_per_host) {
  const auto world = session.world_communicator();
  CHECK(world->host_size() < world->size(), "all ranks are on one host");
  check_hosts(*world, ranks_per_host);
  say(fmt::format("rank {} of {}: ok", world->rank(), world->size()));
  return 0;
}

// What a rank has of a crew, and gives back at its end.
struct Crew {
  std::unique_ptr<MpiSession> session;
  std::unique_ptr<Communicator> world;
  std::unique_ptr<FloatMemory> memory;
};

// In the order of their declarations' reverse, and without a word to the others.
void expect_to_end_at_once(Crew crew) {
  const SystemClock clock;
  const Microseconds begin = clock.monotonic();
  crew.memory.reset();
  crew.world.reset();
  crew.session.reset();
  CHECK(clock.monotonic() - begin < std::chrono::milliseconds(500), "a broken crew waits for its peers");
}

// What every rank that was not lost must see: an error in time that says which operation, and a broken
// communicator after it, which ends at once. They leave without MPI_Finalize, which may hang.
[[noreturn]] void expect_timeout_and_leave(Crew crew, const Status& status) {
  CHECK(!status.ok() && status.error().kind == Error::Kind::timeout, "the operation should have timed out");
  const Status after = crew.world->barrier();
  CHECK(!after.ok() && after.error().message.find("after an earlier error") != std::string::npos);
  expect_to_end_at_once(std::move(crew));
  say(fmt::format("survivor: {}", status.error().message));
  ::_exit(0);
}

Crew make_crew(std::unique_ptr<MpiSession> session, const CrewLayout& layout = {}) {
  Crew crew{.session = std::move(session), .world = nullptr, .memory = nullptr};
  crew.world = crew.session->world_communicator(layout);
  auto memory = crew.world->allocate(256);
  expect_ok(memory.ok() ? Status() : Status(memory.error()), "allocate");
  crew.memory = std::move(memory).value();
  return crew;
}

[[noreturn]] void sleep_and_leave() {
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  ::_exit(0);
}

[[noreturn]] void run_absent(std::unique_ptr<MpiSession> session, int ranks_per_host) {
  Crew crew = make_crew(std::move(session), {.ranks_per_host = ranks_per_host});
  if (crew.world->rank() == 1) {
    sleep_and_leave();
  }
  const Status status =
      crew.world->allreduce(crew.memory->row(), {.timeout = std::chrono::milliseconds(700)});
  expect_timeout_and_leave(std::move(crew), status);
}

[[noreturn]] void run_killed(std::unique_ptr<MpiSession> session) {
  Crew crew = make_crew(std::move(session));
  if (crew.world->rank() == 1) {
    ::kill(::getpid(), SIGKILL);
  }
  const Status status = crew.world->barrier({.timeout = std::chrono::milliseconds(700)});
  expect_timeout_and_leave(std::move(crew), status);
}

// No operation has failed when the others give back their memory: the first to do so is what breaks the crew.
[[noreturn]] void run_unfreed(std::unique_ptr<MpiSession> session) {
  Crew crew = make_crew(std::move(session), {.free_limit = std::chrono::milliseconds(700)});
  if (crew.world->rank() == 1) {
    sleep_and_leave();
  }
  crew.memory.reset();
  const Status status = crew.world->barrier();
  CHECK(!status.ok(), "memory that a lost rank still has was given back");
  expect_to_end_at_once(std::move(crew));
  say(fmt::format("survivor: {}", status.error().message));
  ::_exit(0);
}

[[noreturn]] void run_abandoned(std::unique_ptr<MpiSession> session) {
  Crew crew = make_crew(std::move(session));
  if (crew.world->rank() != 0) {
    sleep_and_leave();
  }
  crew.session->abandon();
  expect_to_end_at_once(std::move(crew));
  say("survivor: rank 0");
  ::_exit(0);
}

int run(std::string_view name, int ranks_per_host) {
  CHECK(started_by_mpi(), "run this program with mpirun");
  auto session = MpiSession::start();
  CHECK(session.ok(), session.ok() ? "" : session.error().message);
  if (name.starts_with("absent")) {
    run_absent(std::move(session).value(), name == "absent-host" ? 1 : 0);
  }
  if (name == "killed") {
    run_killed(std::move(session).value());
  }
  if (name == "unfreed") {
    run_unfreed(std::move(session).value());
  }
  if (name == "abandoned") {
    run_abandoned(std::move(session).value());
  }
  if (name == "hosts") {
    return run_on_hosts(**session, ranks_per_host);
  }
  CHECK(name == "operations", "unknown case");
  return run_operations(**session);
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  return regatta::run(argc > 1 ? argv[1] : "operations", argc > 2 ? std::atoi(argv[2]) : 0);
}
