// What the pseudo trials are follows from the present history alone. They change with every value, so each
// proposal with them is made by a fresh sampler, whose caches know no other history.
#include "search/warm_start.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "search/earlier.h"
#include "search/evidence.h"
#include "search/normal_quantile.h"

namespace regatta {
namespace {

constexpr std::size_t kPseudoTrials = 40;  // at the start
constexpr double kFadedOut = 3;  // own values for each parameter and one, with which the last is gone
constexpr std::size_t kFewestValues = 3;  // own ones that tell a scale
constexpr std::size_t kNeighbours = 3;    // earlier points that predict the score of an own one
constexpr double kPriorRelevance = 0.7;   // expected correlation of the studies, worth so many own values:
constexpr double kPriorValues = 4;
constexpr std::uint64_t kSmallSpace = 20 * kPseudoTrials;

// The best half from the top, the others evenly from the rest; the order is that of `ranked` sorted by score.
std::vector<EarlierPoint> select(std::vector<EarlierPoint> ranked, std::size_t count) {
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const EarlierPoint& a, const EarlierPoint& b) { return a.quantile < b.quantile; });
  if (ranked.size() <= count) {
    return ranked;
  }
  const std::size_t top = (count + 1) / 2;
  const std::size_t others = count - top;
  std::vector<EarlierPoint> selected(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(top));
  for (std::size_t i = 0; i < others; ++i) {
    selected.push_back(ranked[top + (2 * i + 1) * (ranked.size() - top) / (2 * others)]);
  }
  return selected;
}

// The mean score of the nearest earlier points, the nearer the heavier.
class ScorePredictor {
 public:
  ScorePredictor(const Space& space, std::vector<EarlierPoint> points)
      : space_(space), points_(std::move(points)) {
    for (const EarlierPoint& each : points_) {
      units_.push_back(space.to_unit(each.point));
    }
  }

  double predict(const Point& point) const {
    const std::vector<double> unit = space_.to_unit(point);
    std::vector<std::pair<double, std::size_t>> nearest;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      nearest.emplace_back(squared_distance(point, unit, i), i);
    }
    const std::size_t count = std::min(kNeighbours, nearest.size());
    std::partial_sort(nearest.begin(), nearest.begin() + static_cast<std::ptrdiff_t>(count), nearest.end());
    double sum = 0;
    double total = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double weight = 1 / (nearest[i].first + 1e-4);
      sum += weight * normal_quantile(points_[nearest[i].second].quantile);
      total += weight;
    }
    return sum / total;
  }

 private:
  double squared_distance(const Point& point, const std::vector<double>& unit, std::size_t index) const {
    double sum = 0;
    for (std::size_t i = 0; i < unit.size(); ++i) {
      const Point& other = points_[index].point;
      const bool is_choice = std::holds_alternative<ChoiceDomain>(space_.parameters()[i].domain);
      const bool is_other =
          point[i].has_value() != other[i].has_value() || (is_choice && point[i] != other[i]);
      const double difference = is_other ? 1 : unit[i] - units_[index][i];
      sum += difference * difference;
    }
    return sum;
  }

  const Space& space_;
  std::vector<EarlierPoint> points_;
  std::vector<std::vector<double>> units_;
};

double mean(const std::vector<double>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0) / static_cast<double>(numbers.size());
}

double quantile(std::vector<double> numbers, double share) {
  const auto place = static_cast<std::size_t>(share * static_cast<double>(numbers.size() - 1) + 0.5);
  std::nth_element(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(place), numbers.end());
  return numbers[place];
}

// Normal scores of the values' ranks.
std::vector<double> scores_of(const std::vector<double>& values) {
  std::vector<double> scores;
  for (const double value : values) {
    const auto below =
        std::count_if(values.begin(), values.end(), [&](double other) { return other < value; });
    const auto equal = std::count(values.begin(), values.end(), value);
    const double place = static_cast<double>(below) + static_cast<double>(equal) / 2;
    scores.push_back(normal_quantile(place / static_cast<double>(values.size())));
  }
  return scores;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean_a = mean(a);
  const double mean_b = mean(b);
  double product = 0;
  double square_a = 0;
  double square_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += (a[i] - mean_a) * (b[i] - mean_b);
    square_a += (a[i] - mean_a) * (a[i] - mean_a);
    square_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return square_a > 0 && square_b > 0 ? product / std::sqrt(square_a * square_b) : 0;
}

class WarmStart final : public Sampler {
 public:
  WarmStart(std::unique_ptr<Sampler> sampler, std::function<std::unique_ptr<Sampler>()> make,
            const SearchContext& context, const std::vector<EarlierPoint>& ranked)
      : space_(context.space),
        sampler_(std::move(sampler)),
        make_(std::move(make)),
        predictor_(*context.space, ranked),
        pseudo_(select(ranked, kPseudoTrials)) {
    for (const EarlierPoint& each : ranked) {
      earlier_.insert(each.point);
    }
  }

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    const std::vector<Trial> extended = with_pseudo_trials(history);
    if (extended.size() > history.size()) {
      const auto added = static_cast<int>(extended.size() - history.size());
      if (auto point = make_()->propose(extended, number + added)) {
        return point;
      }
    }
    return sampler_->propose(history, number);
  }

 private:
  // The own values and what the earlier studies say of their points.
  struct Comparison {
    int epoch = 1;
    std::vector<int> observed;
    std::vector<double> values;
    std::vector<double> predicted;  // scores
    double relevance = kPriorRelevance;
    double floor = std::numeric_limits<double>::infinity();  // no pseudo trial is better
  };
  Comparison compare(std::span<const Trial> history, const Evidence& evidence) const {
    Comparison result{.epoch = std::max(evidence.epoch, 1), .observed = evidence.observed};
    for (std::size_t i = 0; i < evidence.observed.size(); ++i) {
      result.values.push_back(evidence.values[i].front());
      const Point& point = history[static_cast<std::size_t>(evidence.observed[i])].point;
      result.predicted.push_back(predictor_.predict(point));
      if (earlier_.contains(point)) {
        result.floor = std::min(result.floor, result.values.back());
      }
    }
    if (std::isinf(result.floor) && !result.values.empty()) {
      result.floor = *std::min_element(result.values.begin(), result.values.end());
    }
    const auto count = static_cast<double>(result.values.size());
    if (result.values.size() >= kFewestValues) {
      result.relevance =
          (kPriorValues * kPriorRelevance + count * correlation(result.predicted, scores_of(result.values))) /
          (kPriorValues + count);
    }
    return result;
  }

  // Before there is a scale, the own trials stand with their predicted scores, too.
  std::vector<Trial> with_pseudo_trials(std::span<const Trial> history) const {
    const std::vector<Trial> none(history.begin(), history.begin());
    if (history.size() > kMaxHistory) {
      return none;
    }
    const Evidence evidence = gather_evidence(history, space_->size() + 1);
    const double fade = 1 - static_cast<double>(evidence.observed.size()) /
                                (kFadedOut * static_cast<double>(space_->size() + 1));
    if (fade <= 0) {
      return none;  // before the comparison, which costs own trials times earlier ones
    }
    const Comparison own = compare(history, evidence);
    const double share = fade * std::clamp(own.relevance, 0.0, 1.0);
    const auto count = static_cast<std::size_t>(std::lround(share * static_cast<double>(pseudo_.size())));
    if (count == 0) {
      return none;
    }
    std::set<Point> tried;
    for (const Trial& trial : history) {
      tried.insert(trial.point);
    }
    const bool has_scale = own.values.size() >= kFewestValues;
    std::vector<Trial> extended;
    for (const EarlierPoint& each : select(pseudo_, count)) {
      if (!tried.contains(each.point)) {
        const double value = has_scale ? value_of(each, own) : normal_quantile(each.quantile);
        extended.push_back(pseudo_trial(each, own.epoch, value));
      }
    }
    const std::size_t added = extended.size();
    extended.insert(extended.end(), history.begin(), history.end());
    if (!has_scale) {
      put_on_scores(std::span(extended).subspan(added), own);
    }
    for (std::size_t i = 0; i < extended.size(); ++i) {
      extended[i].number = static_cast<int>(i);
    }
    return extended;
  }

  // Robust: the middle and the middle half of the own values; the slope shrinks with the relevance.
  static double value_of(const EarlierPoint& each, const Comparison& own) {
    const double spread = (quantile(own.values, 0.75) - quantile(own.values, 0.25)) / 1.349;
    const double slope = own.relevance * spread;
    const double predicted =
        quantile(own.values, 0.5) + slope * (normal_quantile(each.quantile) - quantile(own.predicted, 0.5));
    return std::max(predicted, own.floor + 0.1 * slope * each.quantile);
  }

  // Stopped, not complete: it stands for one epoch, whichever the models compare at.
  static Trial pseudo_trial(const EarlierPoint& each, int epoch, double value) {
    Trial trial{.point = each.point, .state = each.failed ? TrialState::failed : TrialState::stopped};
    if (!each.failed) {
      trial.scores = {{.epoch = epoch, .values = {value}}};
      trial.values = {value};
    }
    return trial;
  }

  static void put_on_scores(std::span<Trial> trials, const Comparison& own) {
    for (Trial& trial : trials) {
      trial.scores.clear();
      trial.values.clear();
    }
    for (std::size_t i = 0; i < own.observed.size(); ++i) {
      Trial& trial = trials[static_cast<std::size_t>(own.observed[i])];
      trial.scores = {{.epoch = own.epoch, .values = {own.predicted[i]}}};
      trial.values = {own.predicted[i]};
    }
  }

  static constexpr std::size_t kMaxHistory = 1000;  // beyond it, the models have more than enough

  const Space* space_;
  std::unique_ptr<Sampler> sampler_;
  std::function<std::unique_ptr<Sampler>()> make_;
  ScorePredictor predictor_;
  std::vector<EarlierPoint> pseudo_;
  std::set<Point> earlier_;
};

}  // namespace

std::unique_ptr<Sampler> with_warm_start(std::unique_ptr<Sampler> sampler,
                                         std::function<std::unique_ptr<Sampler>()> make,
                                         const SearchContext& context) {
  const std::vector<EarlierPoint> ranked = rank_earlier(context.earlier);
  const auto points = context.space->cardinality();
  if (ranked.empty() || context.objectives > 1 || (points && *points < kSmallSpace)) {
    return sampler;
  }
  return std::make_unique<WarmStart>(std::move(sampler), std::move(make), context, ranked);
}

}  // namespace regatta
