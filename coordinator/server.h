// The coordinator's loop: messages in, one transaction for all that came, answers out.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "coordinator/store.h"
#include "coordinator/study.h"

namespace regatta {

struct ServerOptions {
  std::filesystem::path folder;                         // of the study
  std::string bind_address = "127.0.0.1";               // nothing listens beyond loopback unless asked
  int max_epochs = 0;                                   // told to crews: the schedules' horizon
  Microseconds heartbeat{std::chrono::seconds(2)};      // of crews: well below the study's lease
  Microseconds orphan_limit{std::chrono::minutes(10)};  // how long a crew waits for a lost coordinator
  // Where crews are started here: which slots one has; none for those that came by themselves.
  std::function<std::vector<int>(const std::string& crew)> slots_of;
  std::function<void(const ReshapeCrews&)> reshape;
  std::function<void(const DismissCrew&)> dismissed;  // who started it sees to it that the crew ends
  std::function<void(const StartAttempt&)> started;   // for people
};

struct StopOptions {
  std::string why = StopRequested().why;
  bool comes_back = false;  // the study goes on soon, maybe elsewhere: guests are to wait for it
};

// Owns the ROUTER socket. Not thread-safe: one thread calls step() in a loop. Study, store and clock must
// outlive it.
class Server {
 public:
  // Binds (to the last session's port where it is free), writes the endpoint and keys into the folder.
  static Result<std::unique_ptr<Server>> start(Study& study, Store& store, const Clock& clock,
                                               ServerOptions options);
  ~Server();

  const std::string& endpoint() const;
  // Waits up to `wait` for messages, then handles everything that is there: decide, store, send. An error is
  // the store's: the study cannot go on, and every later call fails alike.
  Status step(Microseconds wait);
  // A launcher saw a crew's process end. The study hears of it in a step a little later, after what the crew
  // sent before its end.
  Status crew_exited(const std::string& crew, bool preempted, const std::string& reason);
  // Ctrl-C: crews save and end; call step() until idle().
  Status request_stop(const StopOptions& options = {});
  bool idle() const;            // no attempt runs
  bool finished() const;        // the study has ended and every crew has been dismissed or is gone
  int crews_connected() const;  // heard of lately and not dismissed
  std::vector<std::string> connected_crews() const;  // their names

 private:
  class Implementation;
  explicit Server(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace regatta
