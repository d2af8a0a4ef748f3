// Processor time of one thread where possible: other work on the machine does not count. Transactions are
// wall time, because they mostly wait for the disk.
#include "benchmarks/coordinator/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>

#include "base/check.h"
#include "base/clock.h"
#include "benchmarks/coordinator/crowd.h"
#include "coordinator/checkpoint_files.h"
#include "coordinator/server.h"
#include "coordinator/simulator.h"
#include "coordinator/store.h"
#include "protocol/socket.h"
#include "search/search.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

double microseconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}
double thread_us() { return microseconds_of(CLOCK_THREAD_CPUTIME_ID); }
double process_us() { return microseconds_of(CLOCK_PROCESS_CPUTIME_ID); }
double wall_us() { return microseconds_of(CLOCK_MONOTONIC); }

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.at(values.size() / 2);
}

Study study_of(const Experiment& experiment) {
  return Study(experiment, read_search(experiment).value(), {.evaluate_best = false});
}

// The line through the points, by least squares of the relative errors: small transactions count, too.
void fit(TransactionCosts& costs) {
  double sw = 0;
  double sx = 0;
  double sy = 0;
  double sxx = 0;
  double sxy = 0;
  for (const auto& [events, ms] : costs.sizes) {
    const double weight = 1 / (ms * ms);
    sw += weight;
    sx += weight * events;
    sy += weight * ms;
    sxx += weight * events * events;
    sxy += weight * events * ms;
  }
  const double slope = (sw * sxy - sx * sy) / (sw * sxx - sx * sx);
  costs.event_us = 1000 * slope;
  costs.commit_us = 1000 * (sy - slope * sx) / sw;
}

// Milliseconds of each transaction of `events` events.
std::vector<double> time_transactions(const fs::path& folder, std::size_t events, int repeats) {
  const Experiment experiment = experiment_of(static_cast<int>(events) * repeats / 4 + 16);
  Study study = study_of(experiment);
  const auto store = Store::create(folder, experiment).value();
  std::vector<double> times;
  std::vector<TimedEvent> batch;
  const SimulationHooks hooks{.observe = [&](const TimedEvent& event) { batch.push_back(event); },
                              .step = [&]() -> Result<std::optional<Input>> {
                                if (batch.size() >= events) {
                                  const double began = wall_us();
                                  RETURN_IF_ERROR(store->append(batch, study));
                                  times.push_back((wall_us() - began) / 1000);
                                  batch.clear();
                                }
                                return std::optional<Input>();
                              }};
  CHECK(simulate(study, {.crews = 64}, hooks).ok());
  return times;
}

}  // namespace

Experiment experiment_of(int trials, int epochs) {
  return parse_experiment(
             fmt::format("name: costs\nobjective: {{minimize: loss}}\n"
                         "search: {{sampler: random, scheduler: {{type: fifo, max_epochs: {}}}, stop: "
                         "{{trials: {}}}}}\n"
                         "space: {{a: {{float: [0, 1]}}, b: {{float: [0, 1]}}, c: {{float: [0, 1]}},"
                         " d: {{float: [0, 1]}}, e: {{float: [0, 1]}}}}\n"
                         "command: [train, $a, $b, $c, $d, $e]\n",
                         epochs, trials),
             "costs.yaml")
      .value();
}

SocketCosts measure_sockets(const fs::path& folder, int crews, int messages) {
  fs::create_directories(folder);
  Crowd crowd([&] { flood(folder, {.crews = crews, .messages = messages}); });
  const StudyKeys keys = make_keys(folder).value();
  const auto socket = ServerSocket::bind("tcp://127.0.0.1:*", keys).value();
  CHECK(write_address(folder, {.endpoint = socket->endpoint(), .host = "here", .process_id = 1}).ok());
  crowd.go();
  const int total = crews * messages;
  std::vector<std::string> names;
  const double thread_began = thread_us();
  const double process_began = process_us();
  while (static_cast<int>(names.size()) < total) {
    if (auto received = socket->receive(milliseconds(100))) {
      names.push_back(std::move(received->crew));
    }
  }
  const double thread_received = thread_us();
  wire::ToCrew order;
  wire::StartAttempt& start = *order.mutable_start_attempt();
  start.set_attempt(123'456);
  start.set_trial(123'456);
  start.set_until_epoch(1);
  start.mutable_point()->Resize(5, 0.5);
  for (const std::string& name : names) {
    socket->send(name, order);
  }
  const double thread_sent = thread_us();
  const SystemClock clock;
  const Deadline drained(clock, milliseconds(500));  // the other thread still encrypts
  while (!drained.passed()) {
    (void)socket->receive(drained.remaining());
  }
  const double others = process_us() - process_began - (thread_us() - thread_began);
  return {.receive = (thread_received - thread_began) / total,
          .send = (thread_sent - thread_received) / total,
          .relay = others / (2 * total)};
}

TransactionCosts measure_transactions(const fs::path& folder, int repeats) {
  TransactionCosts costs;
  for (const int events : {4, 16, 64, 256, 1024, 4096}) {
    const auto times =
        time_transactions(folder / fmt::format("store-{}", events), static_cast<std::size_t>(events),
                          std::max(8, repeats * 64 / (events + 64)));
    costs.sizes.push_back({.events = events, .milliseconds = median(times)});
  }
  fit(costs);
  return costs;
}

double measure_decision_us(int crews, int trials) {
  const Experiment experiment = experiment_of(trials);
  Study study = study_of(experiment);
  std::vector<StartAttempt> orders;
  Microseconds now = std::chrono::hours(24);
  const auto tell = [&](const Input& input) {
    Reaction reaction = study.handle(input, ++now);
    for (Command& command : reaction.commands) {
      if (auto* start = std::get_if<StartAttempt>(&command)) {
        orders.push_back(std::move(*start));
      }
    }
  };
  for (int crew = 0; crew < crews; ++crew) {
    tell(CrewJoined{.crew = fmt::format("crew-{}.1", crew)});
  }
  const double began = thread_us();
  for (std::size_t next = 0; next < orders.size(); ++next) {
    const StartAttempt order = orders[next];
    tell(ReportReceived{.crew = order.crew,
                        .attempt = order.attempt,
                        .epoch = 1,
                        .metrics = {{"loss", order.point.front().value_or(0)}},
                        .checkpoint = fmt::format("checkpoints/trial-{:05}/epoch-1", order.trial),
                        .seconds = 1});
  }
  CHECK(study.ended().has_value());
  return (thread_us() - began) / trials;
}

double measure_deletion_us(const fs::path& folder, int files) {
  const auto name = [](int file) { return fmt::format("checkpoints/trial-{:05}/epoch-1.program", file); };
  for (int file = 0; file < files; ++file) {
    fs::create_directories((folder / name(file)).parent_path());
    std::ofstream(folder / name(file)) << "{}";
  }
  const double began = wall_us();
  for (int file = 0; file < files; ++file) {
    delete_checkpoint(folder, name(file));
  }
  return (wall_us() - began) / files;
}

WholeCosts measure_whole(const fs::path& folder, int crews, int trials) {
  fs::create_directories(folder);
  Crowd crowd([&] { row(folder, crews); });
  const SystemClock clock;
  const Experiment experiment = experiment_of(trials);
  Study study = study_of(experiment);
  const auto store = Store::create(folder, experiment).value();
  const auto server = Server::start(study, *store, clock, {.folder = folder, .max_epochs = 1}).value();
  crowd.go();
  const auto step = [&] { CHECK(server->step(milliseconds(20)).ok()); };
  while (server->crews_connected() < crews) {
    step();
  }
  const std::size_t trials_before = study.ended_trials().size();
  const double wall_began = wall_us();
  const double thread_began = thread_us();
  const double process_began = process_us();
  while (!study.ended()) {
    step();
  }
  const double wall = wall_us() - wall_began;
  const double thread = thread_us() - thread_began;
  const double others = process_us() - process_began - thread;
  const auto done = static_cast<double>(study.ended_trials().size() - trials_before);
  CHECK(store->close().ok());
  return {.crews = crews,
          .trials = trials,
          .trials_per_second = 1e6 * done / wall,
          .thread_us = thread / done,
          .other_us = others / done};
}

}  // namespace regatta
