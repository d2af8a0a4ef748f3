// Rank the trials, choose a branch, split its trials into good and bad, draw candidates from the good ones'
// density, take the one with the largest ratio.
#include "search/samplers/tpe.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "search/samplers/branched_trials.h"
#include "search/samplers/distinct.h"
#include "search/samplers/parzen.h"
#include "search/samplers/ranking.h"
#include "search/samplers/startup.h"

namespace regatta {
namespace {

using Place = TrialRanking::Place;
using Group = TrialRanking::Group;

constexpr std::size_t kMaxGood = 25;
// Under a scheduler that stops trials early few have trained as long as the values are compared at; if all of
// them were good, the good ones would be no choice.
constexpr std::size_t kComparablePerGood = 3;
constexpr std::size_t kFewestGood = 2;
// A mixture of thousands would cost milliseconds. The best of the bad trials, which lie where the choice is
// made, stand for themselves, an even sample of the others for all of them.
constexpr std::size_t kMaxNearlyGood = 128;
constexpr std::size_t kMaxSampled = 128;
constexpr std::size_t kMaxOpen = 256;
// A running trial counts as a bad one, but with less certainty.
constexpr double kOpenWeight = 0.3;
// The narrowest kernels, in ranges, of n trials: 1 / (sharpness · (n + 2)), but not below a limit. Those of
// the good trials go on narrowing, or the search could not close in.
constexpr double kGoodSharpness = 2;
constexpr double kNarrowestGood = 0.002;
constexpr double kNarrowestBad = 0.01;
constexpr int kMaxAttempts = 16;  // to draw a candidate that the branch and the requirements admit

struct TpeOptions {
  std::size_t startup = 10;
  std::size_t candidates = 24;
  double gamma = 0.15;
  double random_fraction = 0;
};

class Tpe final : public Sampler {
 public:
  Tpe(const SearchContext& context, const TpeOptions& options)
      : options_(options),
        axes_(*context.space),
        startup_(axes_, Random(context.seed, "tpe sampler, startup")),
        random_(context.seed, "tpe sampler"),
        leftovers_(context.seed, "tpe sampler, leftovers"),
        distinct_(*context.space),
        ranking_(context.objectives),
        branches_(axes_) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    ranking_.update(history, std::max(options_.startup, axes_.size() + 2));
    branches_.update(history);
    const auto key = static_cast<std::uint64_t>(number);
    Draws draws(random_.substream(key));
    // Parallel trials are many before the first of them end.
    const bool has_model =
        key >= options_.startup && 2 * ranking_.judged() >= options_.startup && ranking_.observed() >= 2;
    const bool by_model = draws.uniform() >= options_.random_fraction && has_model;
    const std::vector<Point> candidates = by_model ? ranked_candidates(draws) : std::vector<Point>{};
    const auto draw = [&](std::uint64_t attempt) {
      if (attempt < candidates.size()) {
        return candidates[attempt];
      }
      return attempt == 0 && !has_model ? startup_.point(key, draws) : startup_.uniform_point(draws);
    };
    return distinct_.choose(history, draw, leftovers_.substream(key));
  }

 private:
  std::size_t good_count(std::size_t judged) const {
    const auto share = static_cast<std::size_t>(std::ceil(options_.gamma * static_cast<double>(judged)));
    const std::size_t comparable =
        std::max<std::size_t>(ranking_.observed() / kComparablePerGood, kFewestGood);
    return std::min({share, comparable, kMaxGood});
  }

  ParzenKernel kernel(const Place& place, double weight) const {
    return {.coordinates = branches_.coordinates(place.number), .weight = weight};
  }

  // By rank, as in the recombination of CMA-ES: the better, the heavier; 1 on the average.
  void add_good(std::span<const Place> good, std::vector<ParzenKernel>& kernels) const {
    const auto count = static_cast<double>(good.size());
    double total = 0;
    for (std::size_t i = 0; i < good.size(); ++i) {
      total += std::log((count + 1) / static_cast<double>(i + 1));
    }
    for (std::size_t i = 0; i < good.size(); ++i) {
      kernels.push_back(kernel(good[i], std::log((count + 1) / static_cast<double>(i + 1)) * count / total));
    }
  }

  // `ranked` from best to worst, then the newest of those that are open.
  std::vector<ParzenKernel> bad_kernels(std::span<const Place> ranked, std::span<const Place> open) const {
    std::vector<ParzenKernel> kernels;
    const std::size_t near = std::min(ranked.size(), kMaxNearlyGood);
    for (const Place& place : ranked.first(near)) {
      kernels.push_back(kernel(place, 1));
    }
    const std::span<const Place> far = ranked.subspan(near);
    const std::size_t sampled = std::min(far.size(), kMaxSampled);
    for (std::size_t i = 0; i < sampled; ++i) {
      const std::size_t middle = (2 * i + 1) * far.size() / (2 * sampled);
      kernels.push_back(kernel(far[middle], static_cast<double>(far.size()) / static_cast<double>(sampled)));
    }
    for (const Place& place : open.last(std::min(open.size(), kMaxOpen))) {
      kernels.push_back(kernel(place, kOpenWeight));
    }
    return kernels;
  }

  // The good ones of the branch, and those of all trials; the others from best to worst.
  struct Split {
    std::size_t judged = 0;  // of the branch
    std::vector<ParzenKernel> good;
    std::vector<Place> bad;
  };
  Split split(std::span<const Place> judged, std::size_t branch) const {
    Split result;
    std::vector<Place> own;
    std::vector<Place> foreign;
    result.judged = judged.size();
    if (branches_.count() > 1) {
      result.judged =
          static_cast<std::size_t>(std::count_if(judged.begin(), judged.end(), [&](const Place& place) {
            return branches_.branch_of(place.number) == branch;
          }));
    }
    const std::size_t own_limit = good_count(result.judged);
    const std::size_t limit = good_count(judged.size());
    for (std::size_t i = 0; i < judged.size(); ++i) {
      const bool is_own = branches_.branch_of(judged[i].number) == branch;
      const bool may_be_good = judged[i].group != Group::failed;
      if (may_be_good && is_own && own.size() < own_limit) {
        own.push_back(judged[i]);
      } else if (may_be_good && !is_own && i < limit) {
        foreign.push_back(judged[i]);
      } else {
        result.bad.push_back(judged[i]);
      }
    }
    add_good(own, result.good);
    add_good(foreign, result.good);
    return result;
  }

  // From the largest ratio of the densities to the smallest; may be empty.
  std::vector<Point> ranked_candidates(Draws& draws) const {
    const std::span<const Place> places = ranking_.places();
    const auto judged = places.first(ranking_.judged());
    const std::size_t branch = branches_.choose(judged, good_count(judged.size()), draws);
    const Split sets = split(judged, branch);
    const double good_width = 1 / (kGoodSharpness * (options_.gamma * static_cast<double>(sets.judged) + 2));
    const ParzenMixture good(axes_, sets.good, {.narrowest = std::max(kNarrowestGood, good_width)});
    const auto others = bad_kernels(sets.bad, places.subspan(judged.size()));
    const double bad_width = 1 / (static_cast<double>(others.size()) + 2);
    const ParzenMixture bad(axes_, others, {.narrowest = std::max(kNarrowestBad, bad_width)});

    std::vector<std::pair<double, Point>> candidates;  // (log ratio, point)
    for (std::size_t i = 0; i < options_.candidates; ++i) {
      auto point = draw_candidate(good, branch, draws);
      if (point) {
        const std::vector<double> x = axes_.coordinates(*point);
        candidates.emplace_back(good.log_density(x) - bad.log_density(x), *std::move(point));
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<Point> points;
    for (auto& candidate : candidates) {
      points.push_back(std::move(candidate.second));
    }
    return points;
  }

  std::optional<Point> draw_candidate(const ParzenMixture& good, std::size_t branch, Draws& draws) const {
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const std::size_t kernel = good.draw_kernel(draws);
      Point point = axes_.build([&](std::size_t axis) { return good.draw_coordinate(kernel, axis, draws); });
      if (branches_.admits(branch, point) && axes_.space().allows(point)) {
        return point;
      }
    }
    return std::nullopt;
  }

  TpeOptions options_;
  Axes axes_;
  StartupPoints startup_;
  Random random_;
  Random leftovers_;
  DistinctPoints distinct_;
  TrialRanking ranking_;
  BranchedTrials branches_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_tpe(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the tpe sampler");
  const TpeOptions fallback;
  TpeOptions options;
  options.startup = static_cast<std::size_t>(section.integer(
      "startup", {.fallback = static_cast<std::int64_t>(fallback.startup), .min = 2, .max = 100'000}));
  options.candidates = static_cast<std::size_t>(section.integer(
      "candidates", {.fallback = static_cast<std::int64_t>(fallback.candidates), .min = 1, .max = 100'000}));
  options.gamma = section.number(
      "gamma", {.fallback = fallback.gamma, .min = 0, .max = 1, .min_excluded = true, .max_excluded = true});
  options.random_fraction =
      section.number("random_fraction", {.fallback = fallback.random_fraction, .min = 0, .max = 1});
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Sampler>(std::make_unique<Tpe>(context, options));
}

}  // namespace regatta
