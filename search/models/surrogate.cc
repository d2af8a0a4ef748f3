// A fit starts from that of the first half of its rows, so that it depends on the rows alone and yet starts
// near its end.
#include "search/models/surrogate.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/check.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;

constexpr std::size_t kEveryRow = 24;    // fitted anew with every row up to here …
constexpr std::size_t kStageShare = 12;  // … then with every twelfth more
constexpr std::size_t kHalvedFrom = 16;  // smaller fits start from typical parameters only
constexpr int kEvaluations = 60;

std::size_t fit_stage(std::size_t rows) {
  std::size_t stage = std::min(rows, kEveryRow);
  while (stage + std::max<std::size_t>(1, stage / kStageShare) <= rows) {
    stage += std::max<std::size_t>(1, stage / kStageShare);
  }
  return stage;
}

// At most `limit` of the rows, in their order: the lowest for one half, the others evenly spread over time.
std::vector<SurrogateRow> thinned(std::span<const SurrogateRow> rows, std::size_t limit) {
  if (rows.size() <= limit) {
    return {rows.begin(), rows.end()};
  }
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows[a].value < rows[b].value; });
  const std::size_t best = limit / 2;
  const std::size_t others = rows.size() - best;
  std::sort(order.begin() + static_cast<std::ptrdiff_t>(best), order.end());
  std::vector<std::size_t> kept(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(best));
  for (std::size_t i = 0; i < limit - best; ++i) {
    kept.push_back(order[best + i * others / (limit - best)]);
  }
  std::sort(kept.begin(), kept.end());
  std::vector<SurrogateRow> chosen;
  for (const std::size_t index : kept) {
    chosen.push_back(rows[index]);
  }
  return chosen;
}

std::vector<double> values_of(std::span<const SurrogateRow> rows) {
  std::vector<double> values;
  for (const SurrogateRow& row : rows) {
    values.push_back(row.value);
  }
  return values;
}

// Of everything that a fit depends on.
std::uint64_t fingerprint(std::span<const SurrogateRow> rows) {
  std::uint64_t hash = 0x9E3779B97F4A7C15U;
  const auto mix = [&](double number) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &number, sizeof bits);
    hash = (hash ^ bits) * 0x9FB21C651E98DF25U;
    hash ^= hash >> 32;
  };
  for (const SurrogateRow& row : rows) {
    mix(row.value);
    for (const double feature : row.features) {
      mix(feature);
    }
  }
  return hash;
}

}  // namespace

MatrixXd SurrogateMaker::stacked(std::span<const SurrogateRow> rows) const {
  MatrixXd x(static_cast<Index>(rows.size()), layout_.coordinates());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    x.row(static_cast<Index>(i)) = rows[i].features;
  }
  return x;
}

ModelParameters SurrogateMaker::fit(std::span<const SurrogateRow> rows) {
  CHECK(!rows.empty());
  const std::span<const SurrogateRow> first = rows.first(fit_stage(rows.size()));
  const std::uint64_t key = fingerprint(first);
  if (const auto known = fits_.find(key); known != fits_.end()) {
    return known->second;
  }
  std::vector<ModelParameters> starts;
  if (first.size() >= kHalvedFrom) {
    starts.push_back(fit(first.first(first.size() / 2)));
  }
  starts.push_back(ModelParameters::typical(layout_.groups));
  const std::vector<SurrogateRow> chosen = thinned(first, kFitRows);
  const ModelFit fit = fit_model(layout_, stacked(chosen), values_of(chosen), starts, kEvaluations);
  if (fits_.size() >= kCachedFits) {
    fits_.clear();
  }
  fits_.emplace(key, fit.parameters);
  return fit.parameters;
}

GaussianProcess SurrogateMaker::process(std::span<const SurrogateRow> rows,
                                        const ModelParameters& parameters) const {
  const std::vector<SurrogateRow> chosen = thinned(rows, kRows);
  const std::vector<double> values = values_of(chosen);
  const OutputWarp warp(values, parameters.log_knee);
  return {Kernel(layout_, parameters.kernel), stacked(chosen), warp.targets(values)};
}

void SurrogateMaker::imagine(GaussianProcess& process, const MatrixXd& running, const Random& random) {
  if (running.rows() == 0) {
    return;
  }
  const GaussianProcess::Joint joint = process.predict_jointly(running);
  MatrixXd normals(running.rows(), kFantasies);
  for (Index i = 0; i < normals.size(); ++i) {
    normals.data()[i] = random.normal(static_cast<std::uint64_t>(i));
  }
  const MatrixXd fantasies = (joint.factor * normals).colwise() + joint.mean.col(0);
  process.set_targets(process.targets().replicate(1, kFantasies));
  process.append(running, fantasies);
}

}  // namespace regatta
