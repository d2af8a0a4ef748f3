// A proposal: rows from the history, hyperparameters fitted at a schedule of sizes, fantasies of the running
// trials, then a search for the largest expected improvement.
#include "search/samplers/gp.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "base/check.h"
#include "search/evidence.h"
#include "search/models/acquisition_search.h"
#include "search/models/model_fit.h"
#include "search/samplers/distinct.h"
#include "search/samplers/sobol_sequence.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::size_t kRows = 400;     // of the model: its cost is cubic in them
constexpr std::size_t kFitRows = 200;  // of a fit, which takes dozens of factorizations
constexpr std::size_t kPending = 64;   // running trials that are thought of
constexpr Index kFantasies = 16;
constexpr std::size_t kAnchors = 5;
constexpr std::size_t kCachedFits = 64;

struct Row {
  Point point;
  VectorXd features;
  double value = 0;
};

// Where hyperparameters are fitted anew: at every number of rows while they are few, then with every twelfth
// more.
std::size_t fit_stage(std::size_t rows) {
  std::size_t stage = std::min<std::size_t>(rows, 24);
  while (stage + std::max<std::size_t>(1, stage / 12) <= rows) {
    stage += std::max<std::size_t>(1, stage / 12);
  }
  return stage;
}

// At most `limit` of the rows, in their order: the better half of those by value, the others evenly spread
// over time.
std::vector<Row> thinned(std::span<const Row> rows, std::size_t limit) {
  if (rows.size() <= limit) {
    return {rows.begin(), rows.end()};
  }
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].value < rows[b].value; });
  std::vector<bool> kept(rows.size(), false);
  const std::size_t best = limit / 2;
  for (std::size_t i = 0; i < best; ++i) {
    kept[order[i]] = true;
  }
  std::sort(order.begin() + static_cast<std::ptrdiff_t>(best), order.end());
  const std::size_t others = rows.size() - best;
  for (std::size_t i = 0; i < limit - best; ++i) {
    kept[order[best + i * others / (limit - best)]] = true;
  }
  std::vector<Row> chosen;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (kept[i]) {
      chosen.push_back(rows[i]);
    }
  }
  return chosen;
}

MatrixXd stacked(std::span<const Row> rows, Index columns) {
  MatrixXd x(static_cast<Index>(rows.size()), columns);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    x.row(static_cast<Index>(i)) = rows[i].features;
  }
  return x;
}

std::vector<double> values_of(std::span<const Row> rows) {
  std::vector<double> values;
  for (const Row& row : rows) {
    values.push_back(row.value);
  }
  return values;
}

// Of everything that a fit depends on.
std::uint64_t fingerprint(std::span<const Row> rows) {
  std::uint64_t hash = 0x9E3779B97F4A7C15U;
  const auto mix = [&](double number) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &number, sizeof bits);
    hash = (hash ^ bits) * 0x9FB21C651E98DF25U;
    hash ^= hash >> 32;
  };
  for (const Row& row : rows) {
    mix(row.value);
    for (const double feature : row.features) {
      mix(feature);
    }
  }
  return hash;
}

class GaussianProcessSampler final : public Sampler {
 public:
  explicit GaussianProcessSampler(const SearchContext& context)
      : space_(context.space),
        map_(*context.space),
        search_(*context.space, map_),
        random_(context.seed, "gp sampler"),
        design_(std::min(context.space->size(), SobolSequence::kMaxDimensions), random_.substream(0)),
        distinct_(*context.space) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    const auto key = static_cast<std::uint64_t>(number);
    const Evidence evidence = gather_evidence(history, space_->size() + 1);
    std::vector<Point> ranked;
    if (number >= initial_trials() && evidence.observed.size() >= 2) {
      ranked = promising(history, evidence, random_.substream(1).substream(key));
    }
    const Random redraws = random_.substream(2).substream(key);
    const auto draw = [&](std::uint64_t attempt) {
      if (attempt < ranked.size()) {
        return ranked[attempt];
      }
      return attempt == 0 ? space_->from_unit(design_point(key)) : uniform_point(redraws, attempt);
    };
    return distinct_.choose(history, draw, random_.substream(3).substream(key));
  }

 private:
  int initial_trials() const { return std::clamp(static_cast<int>(space_->size()) + 1, 3, 8); }

  std::vector<double> design_point(std::uint64_t index) {
    std::vector<double> unit = design_.point(index);
    const Random rest = random_.substream(4).substream(index);
    while (unit.size() < space_->size()) {
      unit.push_back(rest.uniform(unit.size()));
    }
    return unit;
  }

  Point uniform_point(const Random& random, std::uint64_t attempt) const {
    std::vector<double> unit(space_->size());
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = random.uniform(attempt * unit.size() + i);
    }
    return space_->from_unit(unit);
  }

  std::vector<Row> rows_of(std::span<const Trial> history, const Evidence& evidence) const {
    std::map<int, double> values;
    for (std::size_t i = 0; i < evidence.observed.size(); ++i) {
      values[evidence.observed[i]] = evidence.values[i].front();
    }
    std::vector<Row> rows;
    for (const auto& [number, value] : values) {
      const Point& point = history[static_cast<std::size_t>(number)].point;
      rows.push_back({.point = point, .features = map_.features(point), .value = value});
    }
    return rows;
  }

  const ModelParameters& fitted(std::span<const Row> rows) {
    const std::size_t stage = fit_stage(rows.size());
    const std::span<const Row> first = rows.first(stage);
    const std::uint64_t key = fingerprint(first);
    if (const auto known = fits_.find(key); known != fits_.end()) {
      return known->second;
    }
    std::vector<ModelParameters> starts = {ModelParameters::typical(map_.layout().groups)};
    if (stage >= 16) {
      starts.insert(starts.begin(), fitted(rows.first(stage / 2)));
    }
    const std::vector<Row> chosen = thinned(first, kFitRows);
    const auto fit =
        fit_model(map_.layout(), stacked(chosen, map_.layout().coordinates()), values_of(chosen), starts, 60);
    if (fits_.size() >= kCachedFits) {
      fits_.clear();
    }
    return fits_.emplace(key, fit.parameters).first->second;
  }

  std::vector<Point> promising(std::span<const Trial> history, const Evidence& evidence,
                               const Random& random) {
    const std::vector<Row> rows = rows_of(history, evidence);
    const ModelParameters parameters = fitted(rows);
    const std::vector<Row> chosen = thinned(rows, kRows);
    const std::vector<double> values = values_of(chosen);
    const OutputWarp warp(values, parameters.log_knee);
    const Index columns = map_.layout().coordinates();
    GaussianProcess process(Kernel(map_.layout(), parameters.kernel), stacked(chosen, columns),
                            warp.targets(values));
    imagine_running(process, history, evidence, random.substream(0));

    MatrixXd failed(static_cast<Index>(evidence.failed.size()), columns);
    for (Index i = 0; i < failed.rows(); ++i) {
      failed.row(i) = map_.features(
          history[static_cast<std::size_t>(evidence.failed[static_cast<std::size_t>(i)])].point);
    }
    const Acquisition acquisition(process, process.points(), failed);

    std::vector<std::size_t> order(chosen.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return chosen[a].value < chosen[b].value; });
    std::vector<Point> anchors;
    for (std::size_t i = 0; i < std::min(kAnchors, order.size()); ++i) {
      anchors.push_back(chosen[order[i]].point);
    }
    std::set<Point> taken;
    for (const Trial& trial : history) {
      taken.insert(trial.point);
    }
    const auto admissible = [&](const Point& point) {
      return space_->allows(point) && !taken.contains(point);
    };
    std::vector<Point> points;
    for (auto& found : search_.maximize(acquisition, anchors, {}, random.substream(1), admissible)) {
      points.push_back(std::move(found.point));
    }
    return points;
  }

  void imagine_running(GaussianProcess& process, std::span<const Trial> history, const Evidence& evidence,
                       const Random& random) const {
    if (evidence.pending.empty()) {
      return;
    }
    const std::size_t count = std::min(kPending, evidence.pending.size());
    const std::span<const int> newest = std::span(evidence.pending).last(count);
    MatrixXd x(static_cast<Index>(count), map_.layout().coordinates());
    for (std::size_t i = 0; i < count; ++i) {
      x.row(static_cast<Index>(i)) = map_.features(history[static_cast<std::size_t>(newest[i])].point);
    }
    const GaussianProcess::Joint joint = process.predict_jointly(x);
    MatrixXd normals(x.rows(), kFantasies);
    for (Index i = 0; i < normals.size(); ++i) {
      normals.data()[i] = random.normal(static_cast<std::uint64_t>(i));
    }
    const MatrixXd fantasies = (joint.factor * normals).colwise() + joint.mean.col(0);
    process.set_targets(process.targets().replicate(1, kFantasies));
    process.append(x, fantasies);
  }

  const Space* space_;
  FeatureMap map_;
  AcquisitionSearch search_;
  Random random_;
  SobolSequence design_;
  DistinctPoints distinct_;
  std::map<std::uint64_t, ModelParameters> fits_;  // by what they were fitted to
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_gp(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the gp sampler");
  RETURN_IF_ERROR(section.finish());
  if (context.objectives > 1) {
    return mistake_at(config.place, "the gp sampler takes one objective");
  }
  return std::unique_ptr<Sampler>(std::make_unique<GaussianProcessSampler>(context));
}

}  // namespace regatta
