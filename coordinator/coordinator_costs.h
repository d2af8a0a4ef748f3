// What the coordinator's own work takes, for simulations: one thread that decides, stores and sends, batch
// after batch, so that a simulated study slows down where a real one would. Measured by
// coordinator-benchmark.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace regatta {

// Microseconds of the coordinator's thread, unless said otherwise. The defaults are those of docs/scale.md.
struct CoordinatorCosts {
  double message_us = 7;              // to receive a message and to decide what follows
  double heartbeat_us = 3;            // to receive a sign of life and to answer it
  double event_us = 40;               // of a stored event, with its share of Optuna's rows
  double commit_us = 31'000;          // of a transaction, whatever is in it: mostly the file system's flushes
  double send_us = 1;                 // to send a message to a crew
  double delete_us = 120;             // to delete a checkpoint that nobody needs any more
  double relay_us = 13;               // of another thread: to encrypt or decrypt a message, in or out
  double network_us = 100;            // from a crew to the coordinator, or back
  double heartbeat_s = 2;             // a crew that has said nothing for so long gives a sign of life
  std::optional<double> proposal_us;  // nullopt: as proposal_us() says of the sampler
  std::string sampler;                // whose proposals are paid for; empty: the study's own
};

CoordinatorCosts no_costs();

// What a sampler takes for one proposal in a space of a few parameters, once it knows so many trials.
double proposal_us(std::string_view sampler, int trials);

// The share of the coordinator's time that goes into signs of life of so many crews whose epochs take so
// long: crews with shorter epochs than heartbeat_s have no need of them.
double heartbeat_load(const CoordinatorCosts& costs, int crews, double epoch_seconds);

// The coordinator in virtual time: a batch is what has come by the time that it is read, at most as many
// messages as a real one takes. Its decisions are stored in one transaction, and then its answers leave one
// by one. Heartbeats take their share of all time; they have no place in the queue.
class BusyCoordinator {
 public:
  // `heartbeats`: of heartbeat_load(), below 1.
  BusyCoordinator(const CoordinatorCosts& costs, double heartbeats);

  // A batch begins with a message that has come at this time. It is read when the last batch is done.
  void begin(Microseconds arrival);
  bool takes_more() const;
  // One message of the batch was decided on; of its events so many were proposals that took so long.
  void decide(int events, double proposals_us);
  void commit();
  void send();
  void delete_checkpoint();
  // Until when what was begun keeps it busy.
  Microseconds now() const;
  void finish();  // the batch is done

  double busy_seconds() const { return busy_us_ * 1e-6; }  // heartbeats and all, where there was work to do
  double longest_wait_seconds() const {
    return longest_wait_us_ * 1e-6;
  }  // of a first message, for its answer
  std::int64_t messages() const { return messages_; }
  std::int64_t transactions() const { return transactions_; }

 private:
  void work(double microseconds);

  const CoordinatorCosts costs_;
  const double slowdown_;  // by heartbeats
  double now_us_ = 0;
  double arrival_us_ = 0;  // of the batch's first message
  double begun_us_ = 0;
  int batch_ = 0;    // messages
  int events_ = 0;   // of the batch
  int relayed_ = 0;  // messages in and out
  double busy_us_ = 0;
  double longest_wait_us_ = 0;
  std::int64_t messages_ = 0;
  std::int64_t transactions_ = 0;
};

}  // namespace regatta
