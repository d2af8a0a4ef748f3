// The leader's line to the coordinator: a thread of its own, so that training never waits for the network.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "protocol/socket.h"
#include "worker/logbook.h"

namespace regatta {

struct LeaderOptions {
  std::filesystem::path folder;  // of the study
  std::string name;              // of the crew
  int ranks = 1;
  int lanes = 1;  // at first
  Microseconds first_contact_limit{std::chrono::seconds(60)};
};

// Says Hello, sends heartbeats, and keeps what is said until it is answered. When the coordinator has been
// silent it reads coordinator.json again, since a resumed one may listen elsewhere, and introduces the crew
// anew. The methods are for one other thread, the one that trains.
class CoordinatorLink {
 public:
  // The clock must outlive the link.
  CoordinatorLink(LeaderOptions options, const Clock& clock);
  // What is still to be sent gets a short time.
  ~CoordinatorLink();
  CoordinatorLink(const CoordinatorLink&) = delete;
  CoordinatorLink& operator=(const CoordinatorLink&) = delete;

  // The next message that the crew has to act on (the first Welcome, and orders); nullopt: none came in time.
  // An error: the coordinator refused the crew, or has not answered its first Hello in time.
  Result<std::optional<wire::ToCrew>> receive(Microseconds wait);
  // Returns at once, unless so much is unanswered that the queue is full: then it waits up to the orphan
  // limit.
  Status send(wire::FromCrew message);
  // Until all that was said is known to be stored.
  void wait_for_answers(Microseconds limit);
  // How long nothing was heard.
  Microseconds silence() const;
  int lanes() const { return lanes_; }
  void set_lanes(int lanes) { lanes_ = lanes; }  // from the next Hello or LaneFree on
  // Longer than the coordinator said that a crew without work should wait.
  bool is_orphaned() const;

 private:
  void run(const std::stop_token& stop);
  void tick();
  void connect_if_moved();
  void say_hello();
  void send_outbox();
  void handle(const wire::ToCrew& message);
  void welcome(const wire::Welcome& message);
  void keep_alive();
  void transmit(const wire::FromCrew& message);
  void break_off(Error error);
  bool inbox_full() const;

  const LeaderOptions options_;
  std::atomic<int> lanes_;
  const Clock& clock_;

  // Of the thread.
  std::unique_ptr<ClientSocket> socket_;
  CoordinatorAddress address_;
  Logbook logbook_;
  bool welcomed_ = false;  // on this connection
  bool greeted_ = false;   // ever
  Microseconds heartbeat_;
  Microseconds last_sent_{0};
  Microseconds last_looked_{0};  // into coordinator.json
  std::string trouble_;          // why there is no connection

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<wire::ToCrew> inbox_;
  std::deque<wire::FromCrew> outbox_;
  std::size_t unanswered_ = 0;
  Microseconds orphan_limit_;
  Microseconds last_heard_;
  std::optional<Error> error_;
  std::jthread thread_;  // last: it ends before what it uses
};

}  // namespace regatta
