// One bracket of synchronous successive halving: a rung is judged when all of its trials have a score, and
// the best go on to the next. Karnin, Koren, Somekh, "Almost optimal exploration in multi-armed bandits",
// ICML 2013; Jamieson and Talwalkar, "Non-stochastic best arm identification", AISTATS 2016.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "search/scheduler.h"
#include "search/schedulers/ranked_rung.h"

namespace regatta {

class Bracket {
 public:
  // What the bracket wants of a trial after a fact.
  enum class Place {
    running,   // it trains towards budget()
    promoted,  // it may be resumed, to train until budget()
    scored,    // it waits for the others of its rung
    out,       // it lost, or ended, or was never here
  };

  // `rungs`: the planned trials and epochs of each; at least one.
  explicit Bracket(std::vector<RungPlan> rungs);

  // Whether the first rung wants another new trial.
  bool has_vacancy() const;
  // The best promoted trial that nobody has resumed.
  std::optional<int> resumable() const;
  int budget() const { return rungs_[rung_].epochs; }  // of the rung that is under way
  Place place(int trial) const;

  void start(int trial);   // needs has_vacancy(); a failed trial may start again
  void resume(int trial);  // needs place(trial) == promoted

  // Each of these tells a fact about a trial and returns the trials that lost because of it and have not
  // ended otherwise, in rising order; the trial of a score may be among them.
  std::vector<int> score(int trial, int epoch, const Objectives& values,
                         bool finished);  // epoch >= budget(), or finished
  std::vector<int> fail(int trial);       // scores worst in its rung; never promoted
  std::vector<int> remove(int trial);     // leaves its rung as if it had never come
  std::vector<int> close();               // no trial will start any more

  bool done() const;  // nothing is left to happen

 private:
  struct Contender {
    Place place = Place::out;
    int epoch = 0;          // of its last score
    Objectives values;      // of its last score
    double rank = 0;        // in the rung that it was promoted from; 0 is the best
    bool finished = false;  // complete: it will not train again, but its value still competes
    bool failed = false;
  };

  std::vector<int> settle();
  std::vector<int> judge();
  void set_place(int trial, Contender& contender, Place place);

  std::vector<RungPlan> rungs_;
  std::size_t rung_ = 0;                 // the rung under way; all before it are judged
  std::map<int, Contender> contenders_;  // of that rung
  int unscored_ = 0;                     // contenders that run or are promoted
  std::set<Ranked> promoted_;            // contenders that may be resumed
  bool closed_ = false;
};

}  // namespace regatta
