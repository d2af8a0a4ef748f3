// When idle slots are worth more in another crew: the arithmetic, and what it is fed with. The study's part
// stands in study_elastic.cc and study_reshape.cc.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "coordinator/events.h"
#include "search/trial.h"

namespace regatta {

struct ElasticOptions {
  // Of one crew taking over from another, as long as this study has not measured them.
  double start_seconds = 4;     // from the order until the new crew has its data; the old one still trains
  double handover_seconds = 1;  // nobody trains
  double efficiency = 0.85;     // of each slot in a crew of several
  double margin = 1.5;          // what is gained must be so many times what it costs
  // Whether a crew of so many slots can train this point. Empty: it can.
  std::function<bool(const Point&, int)> fits;
  // Whether the old crew's processes must be gone before the new crew trains: two may not fit on a card.
  // Empty: no.
  std::function<bool()> waits_for_exit;
};

// How much faster than a crew of one slot.
double speed_of(int slots, double efficiency);

// What taking over costs and brings in this study, as far as it is known.
struct ElasticTerms {
  double start_seconds = 0;
  double handover_seconds = 0;
  double efficiency = 1;
  double margin = 1;
};

// How long the trials' epochs take, by the reports of this session.
class EpochTimes {
 public:
  explicit EpochTimes(double efficiency) : efficiency_(efficiency) {}
  // `whole`: its first report will be of an epoch that it trains from the beginning.
  void began(AttemptId attempt, int trial, int slots, bool whole, Microseconds now);
  void reported(AttemptId attempt, double seconds, Microseconds now);
  void ended(AttemptId attempt) { running_.erase(attempt); }

  // Of a running attempt, its validation and checkpoint included; nullopt: no epoch of this study has been
  // measured.
  std::optional<double> epoch_seconds(AttemptId attempt) const;
  // Of a running attempt that is to train `epochs` more after its last report; nullopt as above.
  std::optional<double> seconds_left(AttemptId attempt, double epochs, Microseconds now) const;
  // Measured where the same trial has trained in crews of one slot and of several.
  double efficiency() const { return efficiency_; }

 private:
  struct Running {
    int trial = 0;
    int slots = 1;
    bool whole = true;
    Microseconds mark{0};  // the last report, or the beginning
  };
  struct Epoch {
    int slots = 1;
    double seconds = 0;
  };
  double efficiency_;
  std::map<AttemptId, Running> running_;
  std::map<int, Epoch> epochs_;  // by trial, the last one
  std::optional<Epoch> last_;    // of any trial
};

// A crew that trains, and may be joined.
struct Contender {
  int slots = 1;
  double seconds_left = 0;            // of work that it is sure or likely to have
  std::function<bool(int)> can_have;  // whether so many slots are of use to it
};

// Whether the contender saves more than it costs when it goes on with `slots`.
bool pays(const Contender& contender, int slots, const ElasticTerms& terms);

// Which of the idle crews, given by their numbers of slots, join which contender: equal shares, the rest to
// those that have the most to do, and nothing to those whom it does not pay. Parallel to `contenders`:
// indices into `idle`.
std::vector<std::vector<std::size_t>> share_out(const std::vector<int>& idle,
                                                const std::vector<Contender>& contenders,
                                                const ElasticTerms& terms);

}  // namespace regatta
