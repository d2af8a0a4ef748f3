// The session runs in the test's own thread, in turns with its crews: what a test sees does not depend on
// timing.
#include "session.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace regatta {
namespace {

using std::chrono::milliseconds;

constexpr const char* kExperiment = R"(
name: scripted
seed: 1
objective: {{minimize: loss}}
search:
  sampler: random
  scheduler: {{type: fifo, max_epochs: {}}}
  stop: {{trials: {}}}
space:
  lr: {{float: [0.1, 1.0]}}
command: [train, --lr, $lr]
)";

template <class T>
T take(Result<T> result) {
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
  return std::move(result).value();
}

void expect_ok(const Status& status) { EXPECT_TRUE(status.ok()) << status.error().message; }

}  // namespace

Session::Session(const SessionOptions& options) {
  experiment_ = std::make_unique<Experiment>(
      take(parse_experiment(fmt::format(kExperiment, options.epochs, options.trials), "exp.yaml")));
  const SearchConfig config = take(read_search(*experiment_));
  study_ = std::make_unique<Study>(
      *experiment_, config,
      take(make_sampler(config.sampler, {.space = &experiment_->space, .seed = experiment_->seed})),
      take(make_scheduler(config.scheduler)), StudyOptions{.evaluate_best = options.evaluate_best});
}

void Session::start(const std::filesystem::path& folder) {
  server_ = take(Server::start(*study_, *store_, clock_, {.folder = folder, .max_epochs = 2}));
}

std::unique_ptr<Session> Session::create(const std::filesystem::path& folder, const SessionOptions& options) {
  std::unique_ptr<Session> session(new Session(options));
  session->store_ = take(Store::create(folder, *session->experiment_));
  session->start(folder);
  return session;
}

std::unique_ptr<Session> Session::resume(const std::filesystem::path& folder, const SessionOptions& options) {
  std::unique_ptr<Session> session(new Session(options));
  session->store_ = take(Store::open(folder));
  for (const TimedEvent& event : take(session->store_->load()).events) {
    session->study_->replay(event);
  }
  const Reaction resumed = session->study_->resume(false, session->clock_.wall());
  expect_ok(session->store_->append(resumed.events, *session->study_));
  session->start(folder);
  return session;
}

bool Session::run_until(const std::function<bool()>& condition) {
  const Deadline deadline(clock_, kArrives);
  while (!deadline.passed()) {
    expect_ok(server_->step(milliseconds(2)));
    if (condition()) {
      return true;
    }
  }
  ADD_FAILURE() << "did not happen in time";
  return false;
}

void Session::run_for(Microseconds time) {
  const Deadline deadline(clock_, time);
  while (!deadline.passed()) {
    expect_ok(server_->step(deadline.remaining()));
  }
}

ScriptedCrew::ScriptedCrew(const std::filesystem::path& folder, const std::string& name)
    : socket_(
          take(ClientSocket::connect(take(read_address(folder)).endpoint, take(read_keys(folder)), name))) {}

void ScriptedCrew::hello(const std::vector<AttemptId>& attempts) {
  wire::FromCrew message;
  auto* hello = message.mutable_hello();
  hello->set_protocol_version(kProtocolVersion);
  hello->set_host("here");
  hello->set_ranks(1);
  hello->set_lanes(1);
  hello->mutable_attempts()->Add(attempts.begin(), attempts.end());
  send(message);
}

void ScriptedCrew::heartbeat() {
  wire::FromCrew message;
  message.mutable_heartbeat();
  send(message);
}

void ScriptedCrew::report(AttemptId attempt, int epoch, double loss, const std::string& checkpoint) {
  wire::FromCrew message;
  auto* report = message.mutable_report();
  report->set_attempt(attempt);
  report->set_epoch(epoch);
  report->set_checkpoint(checkpoint);
  auto* metric = report->add_metrics();
  metric->set_name("loss");
  metric->set_value(loss);
  send(message);
}

void ScriptedCrew::finished(AttemptId attempt, wire::AttemptFinished::Outcome outcome) {
  wire::FromCrew message;
  message.mutable_attempt_finished()->set_attempt(attempt);
  message.mutable_attempt_finished()->set_outcome(outcome);
  send(message);
}

wire::ToCrew ScriptedCrew::await(Session& session, wire::ToCrew::WhatCase kind) {
  std::optional<wire::ToCrew> found;
  const auto take_kind = [&] {
    while (auto message = socket_->receive(Microseconds(0))) {
      aside_.push_back(*std::move(message));
    }
    const auto place = std::find_if(aside_.begin(), aside_.end(), [kind](const wire::ToCrew& message) {
      return message.what_case() == kind;
    });
    if (place != aside_.end()) {
      found = *place;
      aside_.erase(place);
    }
    return found.has_value();
  };
  if (!take_kind() && !session.run_until(take_kind)) {
    ADD_FAILURE() << "no message of kind " << kind;
  }
  return found.value_or(wire::ToCrew{});
}

bool ScriptedCrew::got(Session& session, wire::ToCrew::WhatCase kind) {
  heartbeat();  // connections keep the order: its answer is the last
  (void)await(session, wire::ToCrew::kAlive);
  return std::any_of(aside_.begin(), aside_.end(),
                     [kind](const wire::ToCrew& message) { return message.what_case() == kind; });
}

}  // namespace regatta
