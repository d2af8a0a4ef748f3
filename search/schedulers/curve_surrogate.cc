// The model holds at most so many points that a decision stays cheap; then the newest and the best curves.
#include "search/schedulers/curve_surrogate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/check.h"
#include "search/models/curve_fit.h"

namespace regatta {
namespace {

constexpr std::size_t kFirstMilestone = 4;
constexpr std::size_t kLongestMilestone = 200;  // between two fits
constexpr std::size_t kFitPoints = 120;
constexpr std::size_t kModelPoints = 600;  // at a milestone; more until the next one

double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
double normal_below(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// The last milestone that `count` observations have reached.
std::size_t milestone_of(std::size_t count) {
  std::size_t milestone = kFirstMilestone;
  while (true) {
    const std::size_t step = std::clamp<std::size_t>(milestone / 3, 2, kLongestMilestone);
    if (milestone + step > count) {
      return milestone;
    }
    milestone += step;
  }
}

}  // namespace

CurveSurrogate::CurveSurrogate(const Space& space, std::vector<int> budgets)
    : space_(&space), map_(space), budgets_(std::move(budgets)) {
  CHECK(!budgets_.empty());
}

void CurveSurrogate::add_trial(int trial, const Point& point) {
  if (!curve_of_.emplace(trial, trials_.size()).second) {
    return;
  }
  trials_.push_back(trial);
  points_.push_back(point);
  features_.push_back(map_.features(point));
  least_values_.push_back(std::numeric_limits<double>::infinity());
  known_points_.insert(point);
}

void CurveSurrogate::observe(int trial, int epoch, double value) {
  const std::size_t curve = curve_of_.at(trial);
  observations_.push_back({curve, epoch, value});
  least_values_[curve] = std::min(least_values_[curve], value);
}

std::vector<int> CurveSurrogate::best_trials(std::size_t count) const {
  std::vector<int> best;
  for (std::size_t curve = 0; curve < trials_.size(); ++curve) {
    if (std::isfinite(least_values_[curve])) {
      best.push_back(static_cast<int>(curve));
    }
  }
  const auto end = best.begin() + static_cast<std::ptrdiff_t>(std::min(count, best.size()));
  std::partial_sort(best.begin(), end, best.end(), [this](int a, int b) {
    return std::pair(least_values_[static_cast<std::size_t>(a)], a) <
           std::pair(least_values_[static_cast<std::size_t>(b)], b);
  });
  best.erase(end, best.end());
  for (int& curve : best) {
    curve = trials_[static_cast<std::size_t>(curve)];
  }
  return best;
}

double CurveSurrogate::time_of(int epoch) const {
  return budgets_.back() > 1 ? std::log(epoch) / std::log(budgets_.back()) : 0;
}

std::vector<double> CurveSurrogate::warped(std::size_t count) const {
  std::vector<CurveValue> values;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back({static_cast<int>(observations_[i].curve), observations_[i].value});
  }
  return rank_warp(values);
}

// As many of the newest curves as fit, and in half of the room the best ones.
std::vector<bool> CurveSurrogate::choose_curves(std::size_t count) const {
  std::vector<std::size_t> points(trials_.size(), 0);
  std::vector<double> least(trials_.size(), std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < count; ++i) {
    ++points[observations_[i].curve];
    least[observations_[i].curve] = std::min(least[observations_[i].curve], observations_[i].value);
  }
  std::vector<bool> chosen(trials_.size(), true);
  if (count <= kModelPoints) {
    return chosen;
  }
  std::vector<std::size_t> order(trials_.size());
  for (std::size_t curve = 0; curve < order.size(); ++curve) {
    order[curve] = curve;
    chosen[curve] = points[curve] == 0;
  }
  std::size_t room = kModelPoints;
  const auto choose = [&](std::size_t reserve) {
    for (const std::size_t curve : order) {
      if (!chosen[curve] && points[curve] + reserve <= room) {
        chosen[curve] = true;
        room -= points[curve];
      }
    }
  };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return least[a] < least[b]; });
  choose(kModelPoints / 2);
  std::sort(order.begin(), order.end(), std::greater<>());
  choose(0);
  return chosen;
}

void CurveSurrogate::refit(std::size_t count) {
  const std::vector<double> values = warped(count);
  const std::vector<bool> chosen = choose_curves(count);
  const std::size_t stride = (count + kFitPoints - 1) / kFitPoints;
  std::vector<CurvePoint> points;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t curve = observations_[i].curve;
    if (chosen[curve] && curve % stride == 0) {
      points.push_back({static_cast<int>(curve), time_of(observations_[i].epoch), values[i]});
    }
  }
  model_.emplace(map_.layout(), fit_curves(map_.layout(), features_, points));
  fitted_ = count;
  modelled_ = 0;
  sources_.clear();
  slots_.assign(trials_.size(), -1);
  for (std::size_t curve = 0; curve < trials_.size(); ++curve) {
    if (chosen[curve]) {
      slots_[curve] = model_->add_curve(features_[curve]);
    }
  }
}

void CurveSurrogate::update(const std::map<int, int>& pending) {
  if (const std::size_t milestone = milestone_of(observations_.size()); milestone != fitted_) {
    refit(std::min(milestone, observations_.size()));
    fitted_ = milestone;
  }
  model_->keep_points(sources_.size());
  for (std::size_t curve = slots_.size(); curve < trials_.size(); ++curve) {
    slots_.push_back(model_->add_curve(features_[curve]));
  }
  for (; modelled_ < observations_.size(); ++modelled_) {
    const Observation& each = observations_[modelled_];
    if (slots_[each.curve] >= 0) {
      model_->add_point(slots_[each.curve], time_of(each.epoch));
      sources_.push_back(modelled_);
    }
  }
  const std::vector<double> all = warped(observations_.size());
  incumbent_ = *std::min_element(all.begin(), all.end());
  std::vector<double> values;
  for (const std::size_t source : sources_) {
    values.push_back(all[source]);
  }
  model_->set_values(values);
  std::vector<std::pair<int, int>> imagined;  // slot, epoch
  for (const auto& [trial, epoch] : pending) {
    if (const int slot = slots_[curve_of_.at(trial)]; slot >= 0) {  // a trial that is retried may be left out
      imagined.emplace_back(slot, epoch);
    }
  }
  for (const auto& [slot, epoch] : imagined) {
    values.push_back(model_->mean(model_->similarity(slot), slot, time_of(epoch)));
  }
  for (const auto& [slot, epoch] : imagined) {
    model_->add_point(slot, time_of(epoch));
  }
  model_->set_values(values);
}

template <class Predict>
CurveSurrogate::Outlook CurveSurrogate::best_outlook(const Predict& predict, int epoch) const {
  Outlook best;
  for (const int budget : budgets_) {
    if (budget <= epoch) {
      continue;
    }
    const CurveModel::Prediction prediction = predict(time_of(budget));
    const double deviation = std::sqrt(prediction.variance);
    const double u = (incumbent_ - prediction.mean) / deviation;
    const double chance = normal_below(u);
    const double improvement = deviation * (u * chance + normal_density(u));
    best.rate = std::max(best.rate, improvement / (budget - epoch));
    best.chance = std::max(best.chance, chance);
  }
  return best;
}

CurveSurrogate::Outlook CurveSurrogate::outlook(int trial, int epoch) const {
  const int slot = slots_[curve_of_.at(trial)];
  const CurveModel::Similarity similarity = model_->similarity(slot);
  return best_outlook([&](double time) { return model_->predict(similarity, slot, time); }, epoch);
}

// The last value is known but for its noise; from there the trial wanders, and its slope is uncertain.
CurveSurrogate::Outlook CurveSurrogate::rough_outlook(int trial, int epoch) const {
  constexpr double kUnknownSlope = 0.3;  // of its prior variance
  const int slot = slots_[curve_of_.at(trial)];
  const CurveModel::Similarity similarity = model_->similarity(slot);
  const CurveHyperparameters& hyper = model_->hyperparameters();
  const auto predict = [&](double time) {
    const double ahead = time - time_of(epoch);
    return CurveModel::Prediction{.mean = model_->mean(similarity, slot, time),
                                  .variance = hyper.noise * hyper.noise / 2 + kCurveJitter +
                                              hyper.wander * hyper.wander * ahead +
                                              kUnknownSlope * hyper.slope * hyper.slope * ahead * ahead};
  };
  return best_outlook(predict, epoch);
}

CurveSurrogate::Outlook CurveSurrogate::outlook(const Point& point) const {
  const CurveModel::Similarity similarity = model_->similarity(map_.features(point));
  return best_outlook([&](double time) { return model_->predict(similarity, CurveModel::kNewCurve, time); },
                      0);
}

}  // namespace regatta
