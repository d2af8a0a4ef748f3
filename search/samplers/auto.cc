// The choice is a table, decided by measurement (search-benchmark regret); each sampler sees the whole
// history, so that the next phase learns from the trials of the one before.
#include "search/samplers/auto.h"

#include <algorithm>

#include "base/check.h"

namespace regatta {
namespace {

// A Gaussian process learns most from a trial, but each suggestion costs more than the one before.
constexpr int kModelTrials = 300;
// The same for several objectives, where the model is made anew for each trial.
constexpr int kParegoTrials = 150;
// A study that ends soon after is not handed over: a strategy of evolution would have no time to adapt.
constexpr int kNearlyModelTrials = 500;
// Beyond these distances tell a Gaussian process little.
constexpr std::size_t kMaxModelParameters = 40;

bool is_conditional(const Space& space) {
  return std::any_of(space.parameters().begin(), space.parameters().end(),
                     [](const Parameter& parameter) { return parameter.when.has_value(); });
}

bool has_choices(const Space& space) {
  return std::any_of(space.parameters().begin(), space.parameters().end(), [](const Parameter& parameter) {
    return std::holds_alternative<ChoiceDomain>(parameter.domain);
  });
}

class Auto final : public Sampler {
 public:
  struct Phase {
    int first = 0;
    std::unique_ptr<Sampler> sampler;
  };

  explicit Auto(std::vector<Phase> phases) : phases_(std::move(phases)) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    const auto after = std::find_if(phases_.begin() + 1, phases_.end(),
                                    [&](const Phase& phase) { return phase.first > number; });
    return (after - 1)->sampler->propose(history, number);
  }

 private:
  std::vector<Phase> phases_;  // at least one; the first begins with trial 0
};

}  // namespace

std::vector<AutoPhase> auto_phases(const SearchContext& context) {
  const Space& space = *context.space;
  const std::string evolution = is_conditional(space) || has_choices(space) ? "tpe" : "cma-es";
  if (context.objectives > 1) {
    const std::string lasting = evolution == "tpe" ? "tpe" : "nsga2";
    if (space.size() > kMaxModelParameters) {
      return {{0, lasting}};
    }
    return {{0, "{type: parego, model: gp}"}, {kParegoTrials, lasting}};
  }
  if (space.size() > kMaxModelParameters) {
    return {{0, evolution}};
  }
  if (context.trials && *context.trials <= kNearlyModelTrials) {
    return {{0, "gp"}};
  }
  return {{0, "gp"}, {kModelTrials, evolution}};
}

Result<std::unique_ptr<Sampler>> make_auto(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the auto sampler");
  RETURN_IF_ERROR(section.finish());
  std::vector<Auto::Phase> phases;
  for (const AutoPhase& phase : auto_phases(context)) {
    ASSIGN_OR_RETURN(const Node named, parse_yaml(phase.sampler, "the auto sampler"));
    ASSIGN_OR_RETURN(const Typed typed, read_typed(named, "sampler"));
    ASSIGN_OR_RETURN(auto sampler, make_sampler(typed, context));
    phases.push_back({.first = phase.first, .sampler = std::move(sampler)});
  }
  return std::unique_ptr<Sampler>(std::make_unique<Auto>(std::move(phases)));
}

}  // namespace regatta
