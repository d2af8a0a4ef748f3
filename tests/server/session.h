// A coordinator as `regatta run` and `regatta resume` put it together, and crews that say what a test tells
// them, over real sockets.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "coordinator/server.h"
#include "protocol/socket.h"

namespace regatta {

inline constexpr std::chrono::seconds kArrives{20};  // a limit that only a failing test reaches

struct SessionOptions {
  int trials = 2;
  int epochs = 2;  // of a trial
  bool evaluate_best = false;
};

// The system's time, and what the test lets pass at once.
class PausedClock final : public Clock {
 public:
  Microseconds monotonic() const override { return system_.monotonic() + paused_; }
  Microseconds wall() const override { return system_.wall() + paused_; }
  void pause(Microseconds time) { paused_ += time; }

 private:
  SystemClock system_;
  Microseconds paused_{0};
};

// One life of the coordinator on a study's folder.
class Session {
 public:
  static std::unique_ptr<Session> create(const std::filesystem::path& folder,
                                         const SessionOptions& options = {});
  // After create()'s session is gone, however it ended.
  static std::unique_ptr<Session> resume(const std::filesystem::path& folder,
                                         const SessionOptions& options = {});

  Server& server() { return *server_; }
  const Study& study() const { return *study_; }
  Store& store() { return *store_; }
  // Runs the coordinator until `condition` holds; a failure when it does not in time.
  bool run_until(const std::function<bool()>& condition);
  void run_for(Microseconds time);
  // The coordinator's process stands still, as on Ctrl-Z.
  void stand_still(Microseconds time) { clock_.pause(time); }
  // The stored events of one type.
  template <class Kind>
  std::vector<Kind> stored() const {
    std::vector<Kind> found;
    const auto loaded = store_->load();
    EXPECT_TRUE(loaded.ok());
    for (const TimedEvent& event : loaded->events) {
      if (const auto* kind = std::get_if<Kind>(&event.event)) {
        found.push_back(*kind);
      }
    }
    return found;
  }

 private:
  explicit Session(const SessionOptions& options);
  void start(const std::filesystem::path& folder);
  PausedClock clock_;
  std::unique_ptr<Experiment> experiment_;
  std::unique_ptr<Study> study_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Server> server_;
};

// A crew's leader without a crew.
class ScriptedCrew {
 public:
  ScriptedCrew(const std::filesystem::path& folder, const std::string& name);

  void hello(const std::vector<AttemptId>& attempts = {});
  void heartbeat();
  void report(AttemptId attempt, int epoch, double loss, const std::string& checkpoint = {});
  void finished(AttemptId attempt, wire::AttemptFinished::Outcome outcome);
  void send(const wire::FromCrew& message) { ASSERT_TRUE(socket_->send(message)); }

  // Without the session.
  std::optional<wire::ToCrew> receive(Microseconds wait) { return socket_->receive(wait); }
  // The next message of one kind, with the session running meanwhile; others that come before it are put
  // aside.
  wire::ToCrew await(Session& session, wire::ToCrew::WhatCase kind);
  AttemptId await_start(Session& session) {
    return await(session, wire::ToCrew::kStartAttempt).start_attempt().attempt();
  }
  // Whether one of this kind has come, now or among those put aside, once everything sent so far is answered.
  bool got(Session& session, wire::ToCrew::WhatCase kind);

 private:
  std::unique_ptr<ClientSocket> socket_;
  std::vector<wire::ToCrew> aside_;
};

}  // namespace regatta
