// From trials' values to a Gaussian process: hyperparameters that are fitted at a schedule of sizes, rows
// that are left out where there are too many, running trials that are imagined.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "base/random.h"
#include "search/models/model_fit.h"

namespace regatta {

struct SurrogateRow {
  Point point;
  Eigen::VectorXd features;
  double value = 0;
};

class SurrogateMaker {
 public:
  explicit SurrogateMaker(FeatureLayout layout) : layout_(std::move(layout)) {}

  // Fitted to the first `fit_stage` of the rows, at least one, in the order of their trials. A function of
  // the rows, whatever was asked before; not every call is as cheap as the last.
  ModelParameters fit(std::span<const SurrogateRow> rows);

  // Of at most kRows of them.
  GaussianProcess process(std::span<const SurrogateRow> rows, const ModelParameters& parameters) const;

  // The same with values drawn jointly at the points of running trials: kFantasies sets of targets.
  static void imagine(GaussianProcess& process, const Eigen::MatrixXd& running, const Random& random);

 private:
  static constexpr std::size_t kRows = 400;     // the cost of a model is cubic in them
  static constexpr std::size_t kFitRows = 200;  // and a fit takes dozens of factorizations
  static constexpr Eigen::Index kFantasies = 16;
  static constexpr std::size_t kCachedFits = 256;

  Eigen::MatrixXd stacked(std::span<const SurrogateRow> rows) const;

  FeatureLayout layout_;
  std::map<std::uint64_t, ModelParameters> fits_;  // by what they were fitted to
};

}  // namespace regatta
