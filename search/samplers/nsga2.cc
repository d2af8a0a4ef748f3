// Two parents by tournament, crossover and mutation axis by axis in the unit cube.
#include "search/samplers/nsga2.h"

#include <algorithm>
#include <cmath>

#include "search/samplers/distinct.h"
#include "search/samplers/ranking.h"
#include "search/samplers/startup.h"

namespace regatta {
namespace {

constexpr double kCrossoverRate = 0.9;
// Distribution indices: the larger, the nearer children are to their parents. Deb and Agrawal, "Simulated
// binary crossover for continuous search space", 1995; smaller than theirs, as there are few generations.
constexpr double kCrossoverIndex = 10;
constexpr double kMutationIndex = 10;
constexpr int kMaxAttempts = 100;  // to find a child that the requirements allow

class Nsga2 final : public Sampler {
 public:
  Nsga2(const SearchContext& context, std::size_t population)
      : population_(population),
        axes_(*context.space),
        startup_(axes_, Random(context.seed, "nsga2 sampler, startup")),
        random_(context.seed, "nsga2 sampler"),
        leftovers_(context.seed, "nsga2 sampler, leftovers"),
        distinct_(*context.space),
        ranking_(context.objectives) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    ranking_.update(history, population_);
    const auto key = static_cast<std::uint64_t>(number);
    Draws draws(random_.substream(key));
    const auto places = ranking_.places();
    const auto parents = static_cast<std::size_t>(
        std::find_if(places.begin(), places.end(),
                     [](const auto& place) { return place.group > TrialRanking::Group::short_of; }) -
        places.begin());
    const bool can_breed = ranking_.judged() >= (population_ + 1) / 2 && parents >= 2;
    const auto draw = [&](std::uint64_t attempt) {
      if (can_breed) {
        return child(history, std::min(parents, population_), draws);
      }
      return attempt == 0 ? startup_.point(key, draws) : startup_.uniform_point(draws);
    };
    return distinct_.choose(history, draw, leftovers_.substream(key));
  }

 private:
  std::vector<double> tournament(std::span<const Trial> history, std::size_t parents, Draws& draws) const {
    const std::size_t first = draws.below(parents);
    const std::size_t winner = std::min(first, draws.below(parents));
    const int number = ranking_.places()[winner].number;
    return axes_.coordinates(history[static_cast<std::size_t>(number)].point);
  }

  Point child(std::span<const Trial> history, std::size_t parents, Draws& draws) const {
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const std::vector<double> mother = tournament(history, parents, draws);
      const std::vector<double> father = tournament(history, parents, draws);
      const bool crosses = draws.uniform() < kCrossoverRate;
      Point point = axes_.build([&](std::size_t axis) {
        const double inherited = crosses ? cross(axis, mother[axis], father[axis], draws) : mother[axis];
        return mutate(axis, inherited, draws);
      });
      if (axes_.space().allows(point)) {
        return point;
      }
    }
    return startup_.uniform_point(draws);
  }

  double cross(std::size_t axis, double mother, double father, Draws& draws) const {
    if (std::isnan(mother) || std::isnan(father)) {
      return std::isnan(mother) ? father : mother;
    }
    if (axes_.kind(axis) == Axes::Kind::categories || draws.uniform() < 0.5) {
      return draws.uniform() < 0.5 ? mother : father;
    }
    const double u = draws.uniform();
    const double spread = u < 0.5 ? std::pow(2 * u, 1 / (kCrossoverIndex + 1))
                                  : std::pow(1 / (2 - 2 * u), 1 / (kCrossoverIndex + 1));
    const double side = draws.uniform() < 0.5 ? 1 : -1;
    return std::clamp(0.5 * (mother + father + side * spread * (mother - father)), 0.0, 1.0);
  }

  // A value that neither parent has is drawn anew, others change with probability 1/n.
  double mutate(std::size_t axis, double inherited, Draws& draws) const {
    const bool is_choice = axes_.kind(axis) == Axes::Kind::categories;
    const bool changes = draws.uniform() * static_cast<double>(axes_.size()) < 1;
    if (std::isnan(inherited) || (is_choice && changes)) {
      return is_choice ? static_cast<double>(draws.below(axes_.count(axis))) : draws.uniform();
    }
    if (!changes) {
      return inherited;
    }
    const double u = draws.uniform();
    const double delta = u < 0.5 ? std::pow(2 * u, 1 / (kMutationIndex + 1)) - 1
                                 : 1 - std::pow(2 - 2 * u, 1 / (kMutationIndex + 1));
    return std::clamp(inherited + delta, 0.0, 1.0);
  }

  std::size_t population_;
  Axes axes_;
  StartupPoints startup_;
  Random random_;
  Random leftovers_;
  DistinctPoints distinct_;
  TrialRanking ranking_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_nsga2(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the nsga2 sampler");
  const auto population = section.integer("population", {.fallback = 24, .min = 4, .max = 100'000});
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Sampler>(std::make_unique<Nsga2>(context, static_cast<std::size_t>(population)));
}

}  // namespace regatta
