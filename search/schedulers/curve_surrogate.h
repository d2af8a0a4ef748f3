// What freeze-thaw knows of all trials: it tells how fast a trial, or a new configuration, is expected to
// improve on the best value so far.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "search/models/curve_model.h"
#include "search/models/features.h"
#include "search/models/rank_warp.h"
#include "search/trial.h"

namespace regatta {

class CurveSurrogate {
 public:
  // `budgets`: the epochs at which a trial may be asked for, rising; the last is the maximum.
  CurveSurrogate(const Space& space, std::vector<int> budgets);

  void add_trial(int trial, const Point& point);
  void observe(int trial, int epoch, double value);  // infinite: it failed there
  std::size_t observations() const { return observations_.size(); }
  bool knows(const Point& point) const { return known_points_.contains(point); }
  const Point& point(int trial) const { return points_[curve_of_.at(trial)]; }
  // The trials with the lowest values at any epoch, at most `count`, best first.
  std::vector<int> best_trials(std::size_t count) const;

  // Brings the model up to date; what follows refers to it. A function of the trials and observations so far:
  // hyperparameters are fitted to the observations as they were at milestones, so that it does not matter how
  // often this is called. `pending`: trials that run without a report, and until which epoch; they are
  // believed to reach what is expected of them.
  void update(const std::map<int, int>& pending);

  struct Outlook {
    double rate = 0;    // the expected improvement on the best value per epoch of training; warped values
    double chance = 0;  // the probability of any improvement
  };
  // Of a trial with `epoch` epochs behind it: over all budgets ahead, the best rate and the best chance.
  Outlook outlook(int trial, int epoch) const;
  // Without the variance of what the model has learned, which costs more: for a first choice.
  Outlook rough_outlook(int trial, int epoch) const;
  Outlook outlook(const Point& point) const;
  bool models(int trial) const { return slots_[curve_of_.at(trial)] >= 0; }

 private:
  struct Observation {
    std::size_t curve = 0;
    int epoch = 0;
    double value = 0;
  };

  double time_of(int epoch) const;
  std::vector<double> warped(std::size_t count) const;
  void refit(std::size_t count);
  std::vector<bool> choose_curves(std::size_t count) const;
  template <class Predict>
  Outlook best_outlook(const Predict& predict, int epoch) const;

  const Space* space_;
  FeatureMap map_;
  std::vector<int> budgets_;
  std::map<int, std::size_t> curve_of_;  // by trial
  std::vector<int> trials_;              // by curve, like the next three
  std::vector<Point> points_;
  std::vector<Eigen::VectorXd> features_;
  std::vector<double> least_values_;
  std::set<Point> known_points_;
  std::vector<Observation> observations_;

  // From here on a cache.
  std::optional<CurveModel> model_;
  std::size_t fitted_ = 0;            // observations at the milestone of the hyperparameters
  std::size_t modelled_ = 0;          // observations that the model has taken or left out
  std::vector<int> slots_;            // by curve: its index in the model; -1: left out
  std::vector<std::size_t> sources_;  // by point of the model: its observation
  double incumbent_ = 0;
};

}  // namespace regatta
