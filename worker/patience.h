// Early stopping: how many epochs a metric has not improved.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/model.h"

namespace regatta {

class Patience {
 public:
  explicit Patience(std::optional<EarlyStopping> rule) : rule_(std::move(rule)) {}

  bool active() const { return rule_.has_value(); }
  const std::string& metric() const { return rule_->metric; }  // while active
  // One epoch's value; one that is no number counts as no improvement.
  void observe(double value);
  bool exhausted() const { return rule_ && epochs_since_ >= rule_->patience; }
  std::string describe() const;  // why training ended

  // For checkpoints: {1 if there is a best value, the best value, epochs since}; empty without a rule.
  std::vector<double> state() const;
  bool restore(const std::vector<double>& state);

 private:
  std::optional<EarlyStopping> rule_;
  std::optional<double> best_;
  int epochs_since_ = 0;
};

}  // namespace regatta
