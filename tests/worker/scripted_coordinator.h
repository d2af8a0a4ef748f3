// A coordinator for one crew, behind a real socket, that says what the test tells it to say.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "base/clock.h"
#include "protocol/keys.h"
#include "protocol/socket.h"

namespace regatta {

class ScriptedCoordinator {
 public:
  ScriptedCoordinator(std::filesystem::path folder, std::string crew)
      : folder_(std::move(folder)), crew_(std::move(crew)), keys_(make_keys(folder_).value()) {
    listen();
  }

  // A session begins: on a port of its own, with the address in the folder.
  void listen() {
    server_ = ServerSocket::bind("tcp://127.0.0.1:*", keys_).value();
    EXPECT_TRUE(write_address(folder_, {server_->endpoint(), "localhost", ++session_}).ok());
  }
  void die() { server_.reset(); }
  const std::string& endpoint() const { return server_->endpoint(); }

  // The next message that is no heartbeat; heartbeats are answered.
  wire::FromCrew next(Microseconds limit = std::chrono::seconds(60)) {
    const Deadline deadline(clock_, limit);
    while (!deadline.passed()) {
      auto received =
          server_->receive(std::min<Microseconds>(deadline.remaining(), std::chrono::milliseconds(50)));
      if (received && !received->message.has_heartbeat()) {
        return std::move(received->message);
      }
      if (received) {
        wire::ToCrew alive;
        alive.mutable_alive();
        tell(alive);
      }
    }
    return {};
  }

  void tell(const wire::ToCrew& message) { (void)server_->send(crew_, message); }

  void welcome(int orphan_limit_ms = 60'000, const std::string& experiment = "",
               const std::string& experiment_file = "") {
    wire::ToCrew message;
    wire::Welcome& welcome = *message.mutable_welcome();
    welcome.set_experiment_yaml(experiment);
    welcome.set_experiment_file(experiment_file);
    welcome.set_folder(folder_.string());
    welcome.set_max_epochs(9);
    welcome.set_heartbeat_ms(50);
    welcome.set_orphan_limit_ms(static_cast<std::uint32_t>(orphan_limit_ms));
    tell(message);
  }

  void start(std::int64_t attempt, int until_epoch) {
    wire::ToCrew message;
    message.mutable_start_attempt()->set_attempt(attempt);
    message.mutable_start_attempt()->set_trial(12);
    message.mutable_start_attempt()->set_until_epoch(until_epoch);
    tell(message);
  }

  // until_epoch 0: end.
  void answer(std::int64_t attempt, int epoch, int until_epoch) {
    wire::ToCrew message;
    wire::AnswerReport& answer = *message.mutable_answer_report();
    answer.set_attempt(attempt);
    answer.set_epoch(epoch);
    answer.set_go_on(until_epoch > 0);
    answer.set_until_epoch(until_epoch);
    tell(message);
  }

  void end(std::int64_t attempt) {
    wire::ToCrew message;
    message.mutable_end_attempt()->set_attempt(attempt);
    tell(message);
  }

  void suspend(std::int64_t attempt) {
    wire::ToCrew message;
    message.mutable_suspend_attempt()->set_attempt(attempt);
    tell(message);
  }

  void evaluate(int trial, const std::string& checkpoint) {
    wire::ToCrew message;
    message.mutable_evaluate_trial()->set_trial(trial);
    message.mutable_evaluate_trial()->set_checkpoint(checkpoint);
    tell(message);
  }

  void dismiss(bool comes_back = false) {
    wire::ToCrew message;
    message.mutable_dismiss()->set_comes_back(comes_back);
    tell(message);
  }

 private:
  const SystemClock clock_;
  const std::filesystem::path folder_;
  const std::string crew_;
  const StudyKeys keys_;
  std::unique_ptr<ServerSocket> server_;
  long session_ = 0;
};

}  // namespace regatta
