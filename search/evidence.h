// What a history of trials tells a model that wants one value a trial, when trials have trained for different
// numbers of epochs. All values are taken at one epoch, so that they can be compared; as in BOHB it is the
// longest training that enough trials have behind them. Falkner, Klein, Hutter, "BOHB: robust and efficient
// hyperparameter optimization at scale", ICML 2018.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "search/trial.h"

namespace regatta {

struct Evidence {
  int epoch = 0;  // of the values; 0: no trial has reported
  // Trials that trained to `epoch`, or completed on their own before it, in rising order.
  std::vector<int> observed;
  // Parallel to observed, one an objective. One objective: the best up to `epoch`. Several: the latest.
  std::vector<std::vector<double>> values;
  std::vector<int> pending;  // waiting, running or paused short of `epoch`
  std::vector<int> stopped;  // ended by the scheduler short of `epoch`: they were doing badly
  std::vector<int> failed;   // failed or invalid, whatever they reported before
};

// `enough`: values that a model needs, at least 1. With fewer at every epoch, the epoch that most trials have
// reached.
Evidence gather_evidence(std::span<const Trial> history, std::size_t enough);

// Whether an ended trial says something: it has a value, or has failed.
bool is_evidence(const Trial& trial);

// The parts of gather_evidence, for those who follow a growing history trial by trial.
enum class Standing { observed, pending, stopped, failed };
Standing standing_at(const Trial& trial, int epoch);
std::vector<double> values_at(const Trial& trial, int epoch);  // of a trial that has reported

// Counts how far trials have trained, to choose the epoch at which they are compared.
class EpochCensus {
 public:
  // `last_epoch`: of the trial's last report; 0: none.
  void add(TrialState state, int last_epoch) { count(state, last_epoch, 1); }
  void remove(TrialState state, int last_epoch) { count(state, last_epoch, -1); }  // that was added
  int choose(std::size_t enough) const;

 private:
  void count(TrialState state, int last_epoch, std::ptrdiff_t change);

  std::map<int, std::ptrdiff_t, std::greater<>> ends_;       // last epoch → trials that may go on
  std::map<int, std::ptrdiff_t, std::greater<>> completed_;  // last epoch → trials that stand for every epoch
};

}  // namespace regatta
