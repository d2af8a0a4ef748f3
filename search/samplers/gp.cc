// A proposal: rows from the history, a model, fantasies of the running trials, then a search for the largest
// expected improvement.
#include "search/samplers/gp.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <set>

#include "search/evidence.h"
#include "search/models/acquisition_search.h"
#include "search/models/surrogate.h"
#include "search/samplers/branches.h"
#include "search/samplers/distinct.h"
#include "search/samplers/sobol_sequence.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr Index kMostImagined = 64;  // running and failed trials, the newest ones
constexpr std::size_t kAnchors = 5;
constexpr std::size_t kFewestRows = 2;  // of a branch's model
constexpr std::uint64_t kAdmissibleDraws = 1000;
// Logarithm of an expected improvement, in deviations of the targets, that is as good as none.
const double kSettled = std::log(1e-3);

class GaussianProcessSampler final : public Sampler {
 public:
  explicit GaussianProcessSampler(const SearchContext& context)
      : space_(context.space),
        map_(*context.space),
        maker_(map_.layout()),
        search_(*context.space, map_),
        random_(context.seed, "gp sampler"),
        design_(std::min(context.space->size(), SobolSequence::kMaxDimensions), random_.substream(0)),
        branches_(*context.space, random_.substream(5)),
        distinct_(*context.space) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    const auto key = static_cast<std::uint64_t>(number);
    std::vector<Point> ranked;
    if (number >= initial_trials()) {
      ranked = promising(history, random_.substream(1).substream(key));
    } else if (Point point = space_->from_unit(design_point(key)); space_->allows(point)) {
      ranked = {std::move(point)};
    }
    const Random redraws = random_.substream(2).substream(key);
    const auto allowed = [&](const Point& point) { return space_->allows(point); };
    const auto draw = [&](std::uint64_t attempt) {
      if (attempt < ranked.size()) {
        return ranked[attempt];
      }
      const Random random = redraws.substream(attempt);
      return drawn(allowed, random).value_or(uniform_point(random, 0));
    };
    return distinct_.choose(history, draw, random_.substream(3).substream(key));
  }

 private:
  int initial_trials() const { return std::clamp(static_cast<int>(space_->size()) + 1, 3, 8); }

  // With many trials at a time a model of the first few values would place a whole batch where they happen to
  // point.
  std::size_t fewest_rows() const {
    return std::max(kFewestRows, static_cast<std::size_t>(initial_trials()) - 2);
  }

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

  // What the history tells about all trials, or about those of one branch.
  struct Data {
    std::vector<SurrogateRow> rows;  // in the order of trials
    std::vector<int> pending;
    std::vector<int> failed;
  };
  Data gather(std::span<const Trial> history, const std::optional<Branches::Key>& branch) const {
    const Evidence evidence = gather_evidence(history, space_->size() + 1);
    const auto point = [&](int number) -> const Point& {
      return history[static_cast<std::size_t>(number)].point;
    };
    const auto belongs = [&](int number) { return !branch || branches_.key(point(number)) == *branch; };
    std::map<int, double> values;
    std::vector<double> observed;
    for (std::size_t i = 0; i < evidence.observed.size(); ++i) {
      observed.push_back(evidence.values[i].front());
      values[evidence.observed[i]] = observed.back();
    }
    // A stopped trial did badly before the epoch of these values: it counts as what it had, but not as one of
    // the better half.
    if (!observed.empty()) {
      std::sort(observed.begin(), observed.end());
      for (const int number : evidence.stopped) {
        const auto& reached = history[static_cast<std::size_t>(number)].values;
        values[number] =
            reached.empty() ? observed.back() : std::max(reached.front(), observed[observed.size() / 2]);
      }
    }
    Data data;
    for (const auto& [number, value] : values) {
      if (belongs(number)) {
        data.rows.push_back(
            {.point = point(number), .features = map_.features(point(number)), .value = value});
      }
    }
    std::copy_if(evidence.pending.begin(), evidence.pending.end(), std::back_inserter(data.pending), belongs);
    std::copy_if(evidence.failed.begin(), evidence.failed.end(), std::back_inserter(data.failed), belongs);
    return data;
  }

  MatrixXd features_of(std::span<const Trial> history, std::span<const int> numbers) const {
    MatrixXd x(static_cast<Index>(numbers.size()), map_.layout().coordinates());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      x.row(static_cast<Index>(i)) = map_.features(history[static_cast<std::size_t>(numbers[i])].point);
    }
    return x;
  }

  // Points to propose, the best first; empty where there is nothing to learn from.
  std::vector<Point> promising(std::span<const Trial> history, const Random& random) {
    std::set<Point> taken;
    for (const Trial& trial : history) {
      taken.insert(trial.point);
    }
    std::optional<Branches::Key> branch;
    const auto admissible = [&](const Point& point) {
      return space_->allows(point) && !taken.contains(point) && (!branch || branches_.key(point) == *branch);
    };
    for (const Branches::Key& neglected : branches_.neglected(history)) {
      branch = neglected;
      if (drawn(admissible, random.substream(3))) {
        break;
      }
      branch.reset();  // all of its points have been proposed
    }
    const Data data = gather(history, branch);
    if (data.rows.size() < (branch ? kFewestRows : fewest_rows())) {
      auto point = drawn(admissible, random.substream(2));
      return point ? std::vector<Point>(1, *std::move(point)) : std::vector<Point>{};
    }
    const ModelParameters parameters = maker_.fit(data.rows);
    auto found = search_model(data, parameters, history, admissible, random);
    const bool settled = found.empty() || found.front().value < kSettled;
    if (settled && history.size() % 2 == 0) {
      found = search_model(data, doubted(parameters), history, admissible, random);
    }
    std::vector<Point> points;
    for (auto& each : found) {
      points.push_back(std::move(each.point));
    }
    return points;
  }

  // A model that sees nothing left to gain may be too sure of itself: with half its lengths, the function may
  // differ again where nobody has looked. Berkenkamp, Schoellig, Krause, "No-regret Bayesian optimization
  // with unknown hyperparameters", JMLR 20 (2019).
  static ModelParameters doubted(ModelParameters parameters) {
    Eigen::VectorXd logs = parameters.kernel.logs();
    const int groups = parameters.kernel.groups();
    logs.segment(2, groups).array() -= std::numbers::ln2;
    logs.tail(groups).array() -= std::numbers::ln2;
    parameters.kernel = KernelParameters(groups, std::move(logs));
    return parameters;
  }

  std::vector<AcquisitionSearch::Found> search_model(const Data& data, const ModelParameters& parameters,
                                                     std::span<const Trial> history,
                                                     const std::function<bool(const Point&)>& admissible,
                                                     const Random& random) const {
    GaussianProcess process = maker_.process(data.rows, parameters);
    const MatrixXd succeeded = process.points();
    const MatrixXd failed = features_of(history, data.failed);
    // Nothing is learned of the values at failed points, and nothing would be learned there again: their own
    // predictions stand for them.
    const MatrixXd newest_failed = failed.bottomRows(std::min(failed.rows(), kMostImagined));
    process.append(newest_failed, process.predict(newest_failed).mean);
    const MatrixXd running = features_of(history, data.pending);
    SurrogateMaker::imagine(process, running.bottomRows(std::min(running.rows(), kMostImagined)),
                            random.substream(0));
    const Acquisition acquisition(process, succeeded, failed);

    std::vector<const SurrogateRow*> order;
    for (const SurrogateRow& row : data.rows) {
      order.push_back(&row);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto* a, const auto* b) { return a->value < b->value; });
    std::vector<Point> anchors;
    for (std::size_t i = 0; i < std::min(kAnchors, order.size()); ++i) {
      anchors.push_back(order[i]->point);
    }
    return search_.maximize(acquisition, anchors, {}, random.substream(1), admissible);
  }

  // The first of many uniform points that is admissible.
  std::optional<Point> drawn(const std::function<bool(const Point&)>& admissible,
                             const Random& random) const {
    for (std::uint64_t attempt = 0; attempt < kAdmissibleDraws; ++attempt) {
      if (Point point = uniform_point(random, attempt); admissible(point)) {
        return point;
      }
    }
    return std::nullopt;
  }

  const Space* space_;
  FeatureMap map_;
  SurrogateMaker maker_;
  AcquisitionSearch search_;
  Random random_;
  SobolSequence design_;
  Branches branches_;
  DistinctPoints distinct_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_gp(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the gp sampler");
  RETURN_IF_ERROR(section.finish());
  if (context.objectives > 1) {
    return mistake_at(config.place,
                      "the gp sampler takes one objective; for several choose nsga2, parego or tpe");
  }
  return std::unique_ptr<Sampler>(std::make_unique<GaussianProcessSampler>(context));
}

}  // namespace regatta
