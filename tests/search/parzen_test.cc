// The mixture against its definition by brute force.
#include "search/samplers/parzen.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

struct Mixture {
  explicit Mixture(const std::string& yaml, const std::vector<Point>& points,
                   std::vector<double> weights = {})
      : space(space_from(yaml)), axes(space) {
    std::vector<ParzenKernel> kernels;
    for (const Point& point : points) {
      coordinates.push_back(axes.coordinates(point));
    }
    for (std::size_t i = 0; i < points.size(); ++i) {
      kernels.push_back({.coordinates = coordinates[i], .weight = weights.empty() ? 1 : weights[i]});
    }
    density.emplace(axes, kernels, ParzenOptions{.prior_weight = 0.5, .narrowest = 0.05});
  }
  Point draw(Draws& draws) const {
    const std::size_t kernel = density->draw_kernel(draws);
    return axes.build([&](std::size_t axis) { return density->draw_coordinate(kernel, axis, draws); });
  }

  Space space;
  Axes axes;
  std::vector<std::vector<double>> coordinates;
  std::optional<ParzenMixture> density;
};

double normal(double x, double mean, double width) {
  return std::exp(-0.5 * std::pow((x - mean) / width, 2)) / (width * std::sqrt(2 * M_PI));
}

// By the midpoint rule over [0, 1).
double truncated(double x, double mean, double width) {
  double mass = 0;
  for (int i = 0; i < 20000; ++i) {
    mass += normal((i + 0.5) / 20000, mean, width) / 20000;
  }
  return normal(x, mean, width) / mass;
}

TEST(Parzen, IsTheWeightedSumOfTruncatedNormalsAsWideAsTheGaps) {
  const Mixture mixture("{x: {float: [0, 1]}}", {{0.1}, {0.3}, {0.9}}, {1, 2, 1});
  for (const double x : {0.0, 0.12, 0.5, 0.99}) {
    const double expected =
        (1 * truncated(x, 0.1, 0.2) + 2 * truncated(x, 0.3, 0.6) + 1 * truncated(x, 0.9, 0.6) + 0.5) / 4.5;
    EXPECT_NEAR(std::exp(mixture.density->log_density(std::vector{x})), expected, 1e-6) << x;
  }
}

TEST(Parzen, IntegersHaveTheMassOfTheirCells) {
  const Mixture mixture("{n: {int: [1, 5]}}", {{2.0}, {4.0}});
  double total = 0;
  for (int n = 1; n <= 5; ++n) {
    const std::vector<double> x = mixture.axes.coordinates({static_cast<double>(n)});
    double mass = 0;  // of the cell [(n-1)/5, n/5]
    for (int i = 0; i < 1000; ++i) {
      const double at = (n - 1 + (i + 0.5) / 1000) / 5;
      mass += (truncated(at, 0.3, 0.4) + truncated(at, 0.7, 0.4) + 0.5) / 2.5 / 5000;
    }
    const double own = std::exp(mixture.density->log_density(x)) / 5;
    EXPECT_NEAR(own, mass, 1e-5) << n;
    total += own;
  }
  EXPECT_NEAR(total, 1, 1e-9);
}

constexpr const char* kConditional =
    "{kind: {choice: [a, b, c]}, depth: {int: [1, 4], log: true}, x: {float: [0, 1], when: kind != a},"
    " k: {choice: [p, q], when: depth >= 3}}";

TEST(Parzen, IntegratesToOneOverAConditionalSpace) {
  const Mixture mixture(kConditional, {{0.0, 1.0, {}, {}}, {1.0, 3.0, 0.2, 1.0}, {1.0, 2.0, 0.6, {}}});
  double total = 0;
  for (double kind = 0; kind < 3; ++kind) {
    for (double depth = 1; depth <= 4; ++depth) {
      for (double k = 0; k < (depth >= 3 ? 2 : 1); ++k) {
        const int steps = kind > 0 ? 400 : 1;
        for (int i = 0; i < steps; ++i) {
          Point point = {kind, depth, {}, {}};
          if (kind > 0) {
            point[2] = (i + 0.5) / steps;
          }
          if (depth >= 3) {
            point[3] = k;
          }
          const std::vector<double> x = mixture.axes.coordinates(point);
          const Interval cell = mixture.axes.cell(1, x[1]);
          total += std::exp(mixture.density->log_density(x)) * (cell.high - cell.low) / 3 / steps /
                   (depth >= 3 ? 2 : 1);
        }
      }
    }
  }
  EXPECT_NEAR(total, 1, 1e-4);
}

TEST(Parzen, DrawsAsTheDensitySays) {
  const Mixture mixture(kConditional, {{0.0, 1.0, {}, {}}, {1.0, 3.0, 0.2, 1.0}, {1.0, 2.0, 0.6, {}}},
                        {1, 3, 1});
  // Of the discrete points of the branch without x, whose densities are probabilities.
  std::map<Point, double> drawn;
  constexpr int kDraws = 60000;
  Draws draws(Random(5, "parzen test"));
  for (int i = 0; i < kDraws; ++i) {
    const Point point = mixture.draw(draws);
    ASSERT_TRUE(mixture.space.contains(point));
    drawn[point] += point[0] == 0.0 ? 1.0 / kDraws : 0;
  }
  for (double depth = 1; depth <= 4; ++depth) {
    for (double k = 0; k < (depth >= 3 ? 2 : 1); ++k) {
      const Point point = {0.0, depth, {}, depth >= 3 ? std::optional(k) : std::nullopt};
      const std::vector<double> x = mixture.axes.coordinates(point);
      const Interval cell = mixture.axes.cell(1, x[1]);
      const double share =
          std::exp(mixture.density->log_density(x)) * (cell.high - cell.low) / 3 / (depth >= 3 ? 2 : 1);
      EXPECT_NEAR(drawn[point], share, 4 * std::sqrt(share / kDraws)) << mixture.space.describe(point);
    }
  }
}

}  // namespace
}  // namespace regatta
