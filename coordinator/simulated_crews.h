// Crews without processes, in virtual time: the other end of the study's inputs and commands. A crew trains
// epoch after epoch, reports, waits for its answer when it has trained as far as it was granted, and dies now
// and then. Messages may be delayed and sent twice, but those of one crew stay in order, as on a connection.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "coordinator/simulator.h"
#include "coordinator/study.h"

namespace regatta {

struct TransportFaults {
  double duplicate_probability = 0;  // of a report
  double max_delay_seconds = 0;      // of any message to the coordinator
  double tick_seconds = 0;           // signs of life and Tick so often; 0: never
};

class SimulatedCrews {
 public:
  SimulatedCrews(const Experiment& experiment, const SimulationOptions& options,
                 const TransportFaults& faults = {});

  // Checkpoints that are there already.
  void know_files(const std::vector<std::string>& files) { files_.insert(files.begin(), files.end()); }

  // Time goes on to the next message to the coordinator. nullopt: nothing will ever happen, or, with a limit,
  // no message comes before it.
  std::optional<Input> next(std::optional<Microseconds> before = {});
  Microseconds now() const { return now_; }
  void carry_out(const Command& command);
  // A command that reaches its crew at this time.
  void carry_out_at(Microseconds time, Command command);

  // A new coordinator is there: what was on its way to the old one is lost; the crews that live join, with
  // what they run, and send again the reports that were not answered; dismissed ones are started anew.
  void reconnect();
  // Signs of life and a Tick at this time.
  void tick_at(Microseconds time);

  // In the lanes of a crew; empty: it has died.
  std::vector<int> trials_of(const std::string& crew);

  double seconds_trained() const { return seconds_trained_; }  // over all slots, lost work and all
  int slots_of(const std::string& crew) const;                 // how many; also of one that has died
  // What the part of an epoch took that this checkpoint holds, of all slots.
  double seconds_of_part(const std::string& checkpoint) const;
  // What no study may do: needing a file that it had deleted, deleting twice, overfilling a crew.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Attempt {
    AttemptId id = 0;
    Point point;
    int trial = 0;
    int epoch = 0;  // trained
    int until_epoch = 0;
    double part = 0;                          // of the next epoch, done by an attempt before this one
    double part_seconds = 0;                  // that it took, of all slots
    std::optional<Microseconds> epoch_began;  // while it trains; else it waits for an answer
    std::deque<ReportReceived> unanswered;
  };
  struct SimulatedCrew {
    std::string name;
    std::vector<int> slots;  // that it has when it runs
    int starts = 0;
    bool alive = false;
    bool dismissed = false;
    std::map<AttemptId, Attempt> attempts;  // as many as it has lanes
    Microseconds last_delivery{0};
  };
  enum class Happening { start, die, epoch_done, deliver, order, evaluated, tick };
  using Letter = std::variant<Input, Command>;
  struct Item {
    Microseconds at{0};
    std::uint64_t sequence = 0;  // of equal times, the first made comes first
    Happening happening = Happening::tick;
    std::size_t crew = 0;
    int start = 0;          // of the crew; it may have died meanwhile
    AttemptId attempt = 0;  // or the trial that is evaluated
    int coordinator = 0;    // of a message: the one it was sent to; of an order: the one that gave it
    std::unique_ptr<const Letter> letter;  // apart, so that items are small: they move about in the queue
    friend bool operator>(const Item& a, const Item& b) {
      return std::tie(a.at, a.sequence) > std::tie(b.at, b.sequence);
    }
  };

  static Microseconds microseconds(double seconds);
  void schedule(Item item, Microseconds delay);
  void happen(const Item& item);
  void start(std::size_t index);
  bool is_wanted(const SimulatedCrew& crew) const;
  std::size_t index_of_slots(const std::vector<int>& slots);
  std::string save_part(const SimulatedCrew& crew, const Attempt& attempt);
  void give_slots_back(std::size_t index);
  void die(std::size_t index);
  void finish_epoch(std::size_t index, Attempt& attempt);
  void begin_epoch(std::size_t index, Attempt& attempt, Microseconds more);
  void leave_attempt(SimulatedCrew& crew, AttemptId id);
  void leave_attempts(SimulatedCrew& crew);
  void tick();
  void send(std::size_t index, Input input);
  void send_report(std::size_t index, const ReportReceived& report);
  SimulatedCrew* find(const std::string& name);
  SimulatedCrew* find_running(const std::string& name, AttemptId attempt);
  std::size_t index_of(const SimulatedCrew& crew) const {
    return static_cast<std::size_t>(&crew - crews_.data());
  }
  Microseconds epoch_time(const SimulatedCrew& crew, const Attempt& attempt) const;
  std::optional<Metrics> metrics_of(const Attempt& attempt) const;
  bool ends_by_itself(const Attempt& attempt) const;
  void need_file(const std::string& checkpoint, const char* why);

  // simulated_orders.cc
  void carry(const StartAttempt& command);
  void carry(const AnswerReport& command);
  void carry(const EndAttempt& command);
  void carry(const SuspendAttempt& command);
  void carry(const EvaluateTrial& command);
  void carry(const DismissCrew& command);
  void carry(const ReshapeCrews& command);
  void carry(const DeleteCheckpoint& command);

  const Experiment& experiment_;
  const SimulationOptions options_;
  const TransportFaults faults_;
  const Random failures_;
  const Random durations_;
  const Random transport_;
  std::uint64_t transport_draws_ = 0;
  const Microseconds network_;  // from a crew to the coordinator

  Microseconds now_;
  std::uint64_t sequence_ = 0;
  int coordinator_ = 0;
  std::vector<Item> queue_;  // a heap, the next one first
  std::deque<Input> arrived_;
  // One a slot, and after them those of several slots that were ever asked for.
  std::vector<SimulatedCrew> crews_;
  std::vector<std::size_t> crew_of_slot_;                   // to which each slot belongs
  std::map<std::string, std::pair<double, double>> parts_;  // Attempt::part and part_seconds, by checkpoint
  std::unordered_set<std::string> files_;
  double seconds_trained_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace regatta
