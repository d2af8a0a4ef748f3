// The strategy is replayed from the history, generation by generation; what is kept is its state after the
// generations that have not changed since.
#include "search/samplers/cma_es.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "search/samplers/cma.h"
#include "search/samplers/distinct.h"
#include "search/samplers/ranking.h"
#include "search/samplers/startup.h"

namespace regatta {
namespace {

using Place = TrialRanking::Place;
using Group = TrialRanking::Group;

constexpr int kMaxAttempts = 100;       // to draw a point inside the box that the requirements allow
constexpr int kMaxOutside = 10;         // of these: to draw one inside the box
constexpr double kConverged = 1e-6;     // largest standard deviation, in ranges
constexpr double kMaxCondition = 1e14;  // of C
constexpr double kFlat = 1e-12;         // relative range of the values of many generations
constexpr std::size_t kMaxPopulation = 1024;
constexpr std::size_t kKeptStates = 16;  // the generations that late trials usually belong to
// Probability that all categories of a generation's point are those preferred most, at the least: Hamano et
// al., "CMA-ES with margin", GECCO 2022.
constexpr double kCategoryMargin = 0.73;

// A generation as it was learnt from: (trial, value) from best to worst.
using Generation = std::vector<std::pair<int, double>>;

struct Strategy {
  std::optional<CmaDistribution> numbers;
  std::vector<std::vector<double>> categories;  // of each axis of categories: their probabilities
  std::size_t population = 0;
  int restarts = 0;
  std::vector<double> best_values;  // of the generations since the last restart
};

struct CmaEsOptions {
  std::size_t population = 0;  // 0: by the number of parameters
  double sigma = 1.0 / 6;
};

class CmaEs final : public Sampler {
 public:
  CmaEs(const SearchContext& context, const CmaEsOptions& options)
      : options_(options),
        axes_(*context.space),
        startup_(axes_, Random(context.seed, "cma-es sampler, startup")),
        random_(context.seed, "cma-es sampler"),
        blurs_(context.seed, "cma-es sampler, blur"),
        restarts_(context.seed, "cma-es sampler, restarts"),
        leftovers_(context.seed, "cma-es sampler, leftovers"),
        distinct_(*context.space),
        ranking_(context.objectives) {
    std::size_t dimensions = 0;
    for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
      const bool is_choice = axes_.kind(axis) == Axes::Kind::categories;
      (is_choice ? categories_ : numbers_).push_back(axis);
      dimensions += is_choice ? axes_.count(axis) - 1 : 1;
    }
    if (options_.population == 0) {
      options_.population = default_population(dimensions, !categories_.empty());
    }
  }

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    ranking_.update(history, std::max(options_.population, axes_.size() + 2));
    const Strategy strategy = replay(history, static_cast<std::size_t>(number));
    const auto key = static_cast<std::uint64_t>(number);
    Draws draws(random_.substream(key));
    const auto draw = [&](std::uint64_t) { return draw_point(strategy, draws); };
    return distinct_.choose(history, draw, leftovers_.substream(key));
  }

 private:
  struct Step {
    Generation generation;
    std::size_t next = 0;             // first trial of the next generation
    std::size_t next_population = 0;  // and its size
    std::unique_ptr<Strategy> after;  // nullptr: forgotten
  };

  // The trials from `first` on that have ended. `ranks`: of every trial, its place in the ranking.
  Generation generation_at(std::size_t first, std::size_t size, std::span<const std::size_t> ranks) const {
    std::vector<std::size_t> ended;
    for (std::size_t trial = first; trial < std::min(first + size, ranks.size()); ++trial) {
      if (ranks[trial] < ranking_.judged()) {
        ended.push_back(ranks[trial]);
      }
    }
    std::sort(ended.begin(), ended.end());
    Generation generation;
    for (const std::size_t rank : ended) {
      const Place& place = ranking_.places()[rank];
      const bool has_value = place.group == Group::observed;
      generation.emplace_back(place.number,
                              has_value ? place.first : std::numeric_limits<double>::infinity());
    }
    return generation;
  }

  // The strategy that trial `number` is drawn from: after every generation whose numbers lie before it.
  Strategy replay(std::span<const Trial> history, std::size_t number) {
    std::vector<std::size_t> ranks(history.size());
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
      ranks[static_cast<std::size_t>(ranking_.places()[rank].number)] = rank;
    }
    std::size_t done = 0;
    std::size_t first = 0;
    std::size_t population = options_.population;
    while (done < steps_.size() && first + population <= number &&
           steps_[done].generation == generation_at(first, population, ranks)) {
      first = steps_[done].next;
      population = steps_[done].next_population;
      ++done;
    }
    if (done > 0 && steps_[done - 1].after == nullptr) {
      done = first = 0;
    }
    steps_.resize(done);
    Strategy strategy = done > 0 ? *steps_[done - 1].after : begin(options_.population, 0);
    while (first + strategy.population <= number) {
      Generation generation = generation_at(first, strategy.population, ranks);
      first += strategy.population;
      learn(strategy, generation, history);
      if (steps_.size() >= kKeptStates) {
        steps_[steps_.size() - kKeptStates].after.reset();
      }
      steps_.push_back({.generation = std::move(generation),
                        .next = first,
                        .next_population = strategy.population,
                        .after = std::make_unique<Strategy>(strategy)});
    }
    return strategy;
  }

  // The first run begins in the middle of the box, the others anywhere.
  Strategy begin(std::size_t population, int restarts) const {
    Strategy strategy{.population = population, .restarts = restarts};
    if (!numbers_.empty()) {
      Eigen::VectorXd mean = Eigen::VectorXd::Constant(static_cast<Eigen::Index>(numbers_.size()), 0.5);
      Draws draws(restarts_.substream(static_cast<std::uint64_t>(restarts)));
      for (Eigen::Index i = 0; i < mean.size() && restarts > 0; ++i) {
        mean[i] = draws.uniform();
      }
      strategy.numbers.emplace(std::move(mean), options_.sigma);
    }
    for (const std::size_t axis : categories_) {
      strategy.categories.emplace_back(axes_.count(axis), 1 / static_cast<double>(axes_.count(axis)));
    }
    return strategy;
  }

  void learn(Strategy& strategy, const Generation& generation, std::span<const Trial> history) const {
    if (generation.size() < std::max<std::size_t>(2, (strategy.population + 1) / 2)) {
      return;
    }
    std::vector<std::vector<double>> coordinates;
    for (const auto& [trial, value] : generation) {
      coordinates.push_back(axes_.coordinates(history[static_cast<std::size_t>(trial)].point));
    }
    if (strategy.numbers) {
      std::vector<Eigen::VectorXd> ranked;
      for (std::size_t i = 0; i < generation.size(); ++i) {
        ranked.push_back(number_step(*strategy.numbers, coordinates[i], generation[i].first));
      }
      strategy.numbers->learn(ranked);
    }
    learn_categories(strategy, coordinates);
    strategy.best_values.push_back(generation.front().second);
    if (has_converged(strategy)) {
      const std::size_t population = std::min(2 * strategy.population, kMaxPopulation);
      strategy = begin(population, strategy.restarts + 1);
    }
  }

  // A discrete value is blurred over its cell: the variance never falls below the cell's, which keeps the
  // neighbours within reach. An inactive parameter is drawn as the distribution would.
  Eigen::VectorXd number_step(const CmaDistribution& numbers, std::span<const double> coordinates,
                              int trial) const {
    Eigen::VectorXd x(static_cast<Eigen::Index>(numbers_.size()));
    const Random blur = blurs_.substream(static_cast<std::uint64_t>(trial));
    for (Eigen::Index i = 0; i < x.size(); ++i) {
      const std::size_t axis = numbers_[static_cast<std::size_t>(i)];
      if (std::isnan(coordinates[axis])) {
        x[i] = numbers.mean()[i] + numbers.deviation(i) * blur.normal(axis);
      } else {
        const Interval cell = axes_.cell(axis, coordinates[axis]);
        x[i] = cell.low + (cell.high - cell.low) * blur.uniform(axis);
      }
    }
    return x;
  }

  // The better half pulls the probabilities towards its categories, by the weights of CMA-ES.
  void learn_categories(Strategy& strategy, const std::vector<std::vector<double>>& coordinates) const {
    const CmaParameters parameters(std::max<std::size_t>(numbers_.size(), 1), coordinates.size());
    for (std::size_t i = 0; i < categories_.size(); ++i) {
      std::vector<double>& probability = strategy.categories[i];
      const auto count = static_cast<double>(probability.size());
      const double rate = parameters.effective / (parameters.effective + count + 4);
      for (std::size_t parent = 0; parent < parameters.parents; ++parent) {
        const double x = coordinates[parent][categories_[i]];
        const double pull = rate * parameters.weights[static_cast<Eigen::Index>(parent)];
        for (std::size_t category = 0; category < probability.size() && !std::isnan(x); ++category) {
          const double target = static_cast<double>(category) == x ? 1 : 0;
          probability[category] += pull * (target - probability[category]);
        }
      }
      // The margin, taken from what the others have above it.
      const double margin =
          count > 1
              ? (1 - std::pow(kCategoryMargin, 1 / static_cast<double>(categories_.size()))) / (count - 1)
              : 0;
      const double least = std::min(margin, 1 / count);
      double above = 0;
      for (double& each : probability) {
        each = std::max(each, least);
        above += each - least;
      }
      for (double& each : probability) {
        each = above > 0 ? least + (each - least) * (1 - count * least) / above : 1 / count;
      }
    }
  }

  bool has_converged(const Strategy& strategy) const {
    const double per_generation =
        30.0 * static_cast<double>(axes_.size()) / static_cast<double>(strategy.population);
    const std::size_t window = 10 + static_cast<std::size_t>(per_generation);
    if (strategy.best_values.size() >= window) {
      const auto [low, high] = std::minmax_element(
          strategy.best_values.end() - static_cast<std::ptrdiff_t>(window), strategy.best_values.end());
      if (*high <= *low + kFlat * std::abs(*low)) {
        return true;
      }
    }
    return strategy.numbers && (strategy.numbers->largest_deviation() < kConverged ||
                                strategy.numbers->condition() > kMaxCondition);
  }

  // Points outside the box are drawn again a few times, then moved to its surface.
  Point draw_point(const Strategy& strategy, Draws& draws) const {
    std::vector<double> coordinates(axes_.size());
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      bool inside = true;
      if (strategy.numbers) {
        const Eigen::VectorXd x = strategy.numbers->draw(draws);
        for (std::size_t i = 0; i < numbers_.size(); ++i) {
          const double coordinate = x[static_cast<Eigen::Index>(i)];
          inside = inside && coordinate >= 0 && coordinate < 1;
          coordinates[numbers_[i]] = std::clamp(coordinate, 0.0, 1.0);
        }
      }
      for (std::size_t i = 0; i < categories_.size(); ++i) {
        coordinates[categories_[i]] = draw_category(strategy.categories[i], draws);
      }
      Point point = axes_.build([&](std::size_t axis) { return coordinates[axis]; });
      if ((inside || attempt >= kMaxOutside) && axes_.space().allows(point)) {
        return point;
      }
    }
    return startup_.uniform_point(draws);
  }

  static double draw_category(std::span<const double> probability, Draws& draws) {
    double threshold = draws.uniform();
    std::size_t category = 0;
    while (category + 1 < probability.size() && threshold >= probability[category]) {
      threshold -= probability[category++];
    }
    return static_cast<double>(category);
  }

  CmaEsOptions options_;
  Axes axes_;
  StartupPoints startup_;
  Random random_;
  Random blurs_;
  Random restarts_;
  Random leftovers_;
  DistinctPoints distinct_;
  TrialRanking ranking_;
  std::vector<std::size_t> numbers_;     // axes
  std::vector<std::size_t> categories_;  // axes
  std::vector<Step> steps_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_cma_es(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the cma-es sampler");
  CmaEsOptions options;
  options.population = static_cast<std::size_t>(
      section.optional_integer("population", {.min = 3, .max = kMaxPopulation}).value_or(0));
  options.sigma =
      section.number("sigma", {.fallback = options.sigma, .min = 0, .max = 1, .min_excluded = true});
  RETURN_IF_ERROR(section.finish());
  if (context.objectives > 1) {
    return mistake_at(config.place,
                      "the cma-es sampler takes one objective; for several choose nsga2, parego or tpe");
  }
  return std::unique_ptr<Sampler>(std::make_unique<CmaEs>(context, options));
}

}  // namespace regatta
