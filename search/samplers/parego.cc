// The history is retold with one value in place of several, to a model that is made anew for each trial.
#include "search/samplers/parego.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/random.h"
#include "search/evidence.h"
#include "search/pareto.h"

namespace regatta {
namespace {

constexpr double kAugmentation = 0.05;  // ρ: also a weakly dominated point is worse

class Parego final : public Sampler {
 public:
  Parego(const SearchContext& context, Typed model)
      : context_(context), model_(std::move(model)), weights_(context.seed, "parego sampler, weights") {
    context_.objectives = 1;
    context_.earlier.clear();  // their values are not sums
  }

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    const Evidence evidence = gather_evidence(history, context_.space->size() + 2);
    const std::vector<double> weights = draw_weights(static_cast<std::uint64_t>(number));
    const Scale scale = scale_of(evidence.values);
    const auto sum_up = [&](const Objectives& values) {
      double largest = -std::numeric_limits<double>::infinity();
      double sum = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const double term = weights[i] * (values[i] - scale.low[i]) / scale.range[i];
        largest = std::max(largest, term);
        sum += term;
      }
      return largest + kAugmentation * sum;
    };
    std::vector<Trial> retold;
    retold.reserve(history.size());
    for (const Trial& trial : history) {
      Trial single{.number = trial.number, .point = trial.point, .state = trial.state};
      for (const Score& score : trial.scores) {
        if (score.values.size() == weights.size() && !scale.low.empty()) {
          single.scores.push_back({.epoch = score.epoch, .values = {sum_up(score.values)}});
        }
      }
      if (!single.scores.empty()) {
        single.values = single.scores.back().values;
      }
      retold.push_back(std::move(single));
    }
    auto model = make_sampler(model_, context_);
    CHECK(model.ok(), "the same model was made before");
    return model.value()->propose(retold, number);
  }

  // Uniform over the simplex.
  std::vector<double> draw_weights(std::uint64_t number) const {
    const Random random = weights_.substream(number);
    std::vector<double> weights;
    double sum = 0;
    for (std::size_t i = 0; i < objectives_; ++i) {
      weights.push_back(-std::log1p(-random.uniform(i)));
      sum += weights.back();
    }
    for (double& weight : weights) {
      weight /= sum;
    }
    return weights;
  }

 private:
  struct Scale {  // an objective each; empty before the first value
    Objectives low;
    Objectives range;
  };

  // From the best values to the worst of the Pareto front: outliers far behind the front set no scale.
  static Scale scale_of(const std::vector<Objectives>& values) {
    Scale scale;
    if (values.empty()) {
      return scale;
    }
    const std::vector<std::size_t> fronts = nondominated_fronts(values);
    for (std::size_t i = 0; i < values.front().size(); ++i) {
      double low = std::numeric_limits<double>::infinity();
      double high = -low;
      for (std::size_t trial = 0; trial < values.size(); ++trial) {
        if (fronts[trial] == 0) {
          low = std::min(low, values[trial][i]);
          high = std::max(high, values[trial][i]);
        }
      }
      scale.low.push_back(low);
      scale.range.push_back(high > low ? high - low : 1);
    }
    return scale;
  }

  SearchContext context_;
  std::size_t objectives_ = context_.objectives;
  Typed model_;
  Random weights_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_parego(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the parego sampler");
  Typed model{"gp", config.place, Node::map(config.place, {})};
  if (const Node* node = section.child("model"); node != nullptr) {
    if (const auto named = section.take(read_typed(*node, "model"))) {
      model = *named;
    }
  }
  RETURN_IF_ERROR(section.finish());
  SearchContext single = context;
  single.objectives = 1;
  ASSIGN_OR_RETURN(auto sampler, make_sampler(model, single));
  if (context.objectives == 1) {
    return sampler;  // there is nothing to sum up
  }
  return std::unique_ptr<Sampler>(std::make_unique<Parego>(context, std::move(model)));
}

}  // namespace regatta
