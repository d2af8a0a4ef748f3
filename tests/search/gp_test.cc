// The gp sampler and its parts above the Gaussian process: improvement, acquisition, search, branches.
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "search/models/acquisition_search.h"
#include "search/models/expected_improvement.h"
#include "search/models/surrogate.h"
#include "search/sampler.h"
#include "search/samplers/branches.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

TEST(LogImprovement, IsTheIntegralWhereThatCanBeComputed) {
  for (const double z : {-6.0, -3.0, -1.0, -0.5, 0.0, 2.0, 10.0}) {
    // Simpson's rule for E[max(z − Y, 0)], Y standard normal.
    constexpr int kIntervals = 20000;
    const double low = std::min(z, 0.0) - 12;
    const double width = (z - low) / kIntervals;
    double integral = 0;
    for (int i = 0; i <= kIntervals; ++i) {
      const double y = low + i * width;
      const double value = (z - y) * std::exp(-y * y / 2) / std::sqrt(2 * M_PI);
      integral += value * (i == 0 || i == kIntervals ? 1 : (i % 2 == 1 ? 4 : 2)) * width / 3;
    }
    EXPECT_NEAR(log_standard_improvement(z).value, std::log(integral), 1e-8) << z;
  }
}

TEST(LogImprovement, StaysSmoothAndRisingFarBelowTheSmallestNumber) {
  double before = -std::numeric_limits<double>::infinity();
  for (double z = -1e6; z < 0; z = z < -1 ? z / 1.01 : z + 0.01) {
    const LogImprovement improvement = log_standard_improvement(z);
    ASSERT_TRUE(std::isfinite(improvement.value)) << z;
    ASSERT_GT(improvement.value, before) << z;
    before = improvement.value;
    const double step = 1e-5 * std::max(1.0, -z);
    const double difference =
        (log_standard_improvement(z + step).value - log_standard_improvement(z - step).value) / (2 * step);
    ASSERT_NEAR(improvement.slope, difference, 2e-5 * std::abs(difference) + 1e-6) << z;
  }
  // h(z) ≈ φ(z) / z²
  EXPECT_NEAR(log_standard_improvement(-1e4).value, -0.5e8 - 0.5 * std::log(2 * M_PI) - 2 * std::log(1e4),
              1e-4);
  for (const double seam : {-1.0, -25.0}) {
    EXPECT_NEAR(log_standard_improvement(std::nextafter(seam, 0)).value, log_standard_improvement(seam).value,
                1e-8);
    EXPECT_NEAR(log_standard_improvement(std::nextafter(seam, -30)).value,
                log_standard_improvement(seam).value, 1e-8);
  }
}

MatrixXd random_points(Index count, Index columns, std::string_view stream) {
  const Random random(1, stream);
  MatrixXd points(count, columns);
  for (Index i = 0; i < points.size(); ++i) {
    points.data()[i] = random.uniform(static_cast<std::uint64_t>(i));
  }
  return points;
}

// Twelve values of a wave and, imagined, two trials under way.
GaussianProcess some_process(const FeatureLayout& layout) {
  const MatrixXd x = random_points(12, layout.coordinates(), "observed");
  const MatrixXd targets = (4 * x.col(0).array()).sin() + x.col(1).array();
  GaussianProcess process(Kernel(layout, KernelParameters(layout.groups)), x, targets);
  SurrogateMaker::imagine(process, random_points(2, layout.coordinates(), "running"), Random(1, "imagine"));
  return process;
}

TEST(Acquisition, GradientIsThatOfFiniteDifferences) {
  const FeatureLayout layout{.group = {0, 1}, .groups = 2};
  const GaussianProcess process = some_process(layout);
  EXPECT_GT(process.targets().cols(), 1);
  const Acquisition acquisition(process, process.points(), random_points(3, 2, "failed"));
  for (const VectorXd& at : {VectorXd{{0.3, 0.6}}, VectorXd{{0.9, 0.1}}}) {
    VectorXd gradient;
    const double value = acquisition.value(at, gradient);
    EXPECT_NEAR(acquisition.values(at.transpose())[0], value, 1e-9);
    for (Index c = 0; c < 2; ++c) {
      MatrixXd beside(2, 2);
      beside << at.transpose(), at.transpose();
      beside(0, c) += 1e-6;
      beside(1, c) -= 1e-6;
      const VectorXd values = acquisition.values(beside);
      EXPECT_NEAR(gradient[c], (values[0] - values[1]) / 2e-6, 1e-4 * (1 + std::abs(gradient[c])));
    }
  }
}

TEST(Acquisition, RunningTrialsLeaveLittleToGainAroundThem) {
  const FeatureLayout layout{.group = {0, 1}, .groups = 2};
  const MatrixXd x = random_points(12, 2, "observed");
  const MatrixXd targets = (4 * x.col(0).array()).sin() + x.col(1).array();
  GaussianProcess process(Kernel(layout, KernelParameters(2)), x, targets);
  const MatrixXd none(0, 2);
  const MatrixXd running = random_points(1, 2, "running");
  const double before = Acquisition(process, x, none).values(running)[0];
  SurrogateMaker::imagine(process, running, Random(1, "imagine"));
  EXPECT_LT(Acquisition(process, x, none).values(running)[0], before - 1);
}

TEST(Acquisition, FailuresLowerWhatTheirNeighbourhoodPromises) {
  const FeatureLayout layout{.group = {0, 1}, .groups = 2};
  const GaussianProcess process = some_process(layout);
  const MatrixXd failed = random_points(1, 2, "failed");
  const Acquisition wary(process, process.points(), failed);
  const Acquisition unaware(process, process.points(), MatrixXd(0, 2));
  EXPECT_LT(wary.values(failed)[0], unaware.values(failed)[0] - 0.5);
}

TEST(AcquisitionSearch, FindsWhatAListOfTheSpaceFinds) {
  const Space space = space_from("{x: {float: [0, 1]}, n: {int: [1, 40]}, kind: {choice: [a, b, c]}}");
  const FeatureMap map(space);
  const MatrixXd x = [&] {
    MatrixXd rows(15, map.layout().coordinates());
    for (Index i = 0; i < rows.rows(); ++i) {
      const VectorXd unit = random_points(15, 3, "units").row(i);
      rows.row(i) = map.features(space.from_unit({unit.data(), 3}));
    }
    return rows;
  }();
  const VectorXd targets = (5 * x.col(0).array()).cos() + x.col(1).array() + x.col(2).array();
  const GaussianProcess process(Kernel(map.layout(), KernelParameters(3)), x, targets);
  const Acquisition acquisition(process, x, MatrixXd(0, x.cols()));
  double best = -std::numeric_limits<double>::infinity();
  for (int kind = 0; kind < 3; ++kind) {
    for (int n = 1; n <= 40; ++n) {
      for (int step = 0; step <= 200; ++step) {
        const VectorXd features = map.features({step / 200.0, n, kind});
        best = std::max(best, acquisition.values(features.transpose())[0]);
      }
    }
  }
  const auto found =
      AcquisitionSearch(space, map).maximize(acquisition, {}, {}, Random(1, "search"), [](const Point&) {
        return true;
      });
  ASSERT_FALSE(found.empty());
  EXPECT_GT(found.front().value, best - 1e-3);
  EXPECT_TRUE(space.contains(found.front().point));
  EXPECT_NEAR(acquisition.values(map.features(found.front().point).transpose())[0], found.front().value,
              1e-6);
}

TEST(Branches, ANeglectedOneIsNamed) {
  const Space space = space_from("{kind: {choice: [a, b, c]}, depth: {int: [1, 3], when: kind == b}}");
  const Branches branches(space, Random(1, "branches"));
  std::vector<Trial> history;
  EXPECT_TRUE(branches.neglected(history).empty());
  for (int number = 0; number < 12; ++number) {
    history.push_back({.number = number, .point = {number % 2 == 0 ? 0.0 : 1.0, std::nullopt}});
    history.back().point = space.drop_inactive({history.back().point[0], 2.0});
  }
  EXPECT_EQ(branches.neglected(history), std::vector<Branches::Key>{branches.key({2.0, std::nullopt})});
  EXPECT_TRUE(Branches(space_from("{x: {float: [0, 1]}}"), Random(1, "branches")).neglected(history).empty());
}

class GpSampler : public testing::Test {
 protected:
  using Function = std::function<std::optional<double>(const Point&)>;  // nullopt: the trial fails

  static std::unique_ptr<Sampler> make(const Space& space, std::uint64_t seed) {
    return make_sampler(typed("gp"), {.space = &space, .seed = seed}).value();
  }

  // `parallel` trials at a time; the batch ends together.
  static std::vector<Trial> study(const Space& space, const Function& function, int trials,
                                  int parallel = 1) {
    const auto sampler = make(space, 3);
    std::vector<Trial> history;
    while (static_cast<int>(history.size()) < trials) {
      const std::size_t first = history.size();
      for (int i = 0; i < parallel; ++i) {
        const int number = static_cast<int>(history.size());
        history.push_back({.number = number,
                           .point = sampler->propose(history, number).value(),
                           .state = TrialState::running});
      }
      for (std::size_t i = first; i < history.size(); ++i) {
        end(history[i], function(history[i].point));
      }
    }
    return history;
  }

  static void end(Trial& trial, std::optional<double> value) {
    trial.state = value ? TrialState::complete : TrialState::failed;
    if (value) {
      trial.values = {*value};
      trial.scores = {{.epoch = 1, .values = {*value}}};
    }
  }

  static double best(const std::vector<Trial>& history) {
    double lowest = std::numeric_limits<double>::infinity();
    for (const Trial& trial : history) {
      lowest = trial.values.empty() ? lowest : std::min(lowest, trial.values.front());
    }
    return lowest;
  }
};

constexpr const char* kSquare = "{x: {float: [-1, 1]}, y: {float: [-1, 1]}}";

double bowl(const Point& point) {
  return std::pow(*point[0] - 0.3, 2) + 2 * std::pow(*point[1] + 0.2, 2) + 0.5 * *point[0] * *point[1];
}
constexpr double kBowl = -0.0364516;  // its lowest value

TEST_F(GpSampler, FindsTheBottomOfABowlToAThousandth) {
  const Space space = space_from(kSquare);
  EXPECT_LT(best(study(space, bowl, 20)), kBowl + 1e-3);
}

TEST_F(GpSampler, FindsItWithFourTrialsAtATime) {
  const Space space = space_from(kSquare);
  EXPECT_LT(best(study(space, bowl, 32, 4)), kBowl + 1e-3);
}

TEST_F(GpSampler, FindsItAmongOverflowsAndFailures) {
  const Space space = space_from(kSquare);
  const auto rough = [](const Point& point) -> std::optional<double> {
    if (*point[0] < -0.4) {
      return std::nullopt;
    }
    return *point[1] > 0.6 ? 1e30 : bowl(point);
  };
  const std::vector<Trial> history = study(space, rough, 50);
  EXPECT_LT(best(history), kBowl + 1e-2);
  const auto fails = [](const Trial& trial) { return trial.state == TrialState::failed; };
  EXPECT_LT(std::count_if(history.begin() + 25, history.end(), fails), 8);
}

TEST_F(GpSampler, FindsANarrowOptimumInTheBranchThatLooksBadAtFirst) {
  const Space space = space_from(
      "{kind: {choice: [simple, complex]}, a: {float: [0, 1], when: kind == simple},"
      " b: {float: [0, 1], when: kind == complex},"
      " c: {float: [0, 1], when: kind == complex}}");
  const auto function = [](const Point& point) {
    if (*point[0] == 0) {
      return 0.3 + std::pow(*point[1] - 0.4, 2);
    }
    return 1 - std::exp(-50 * (std::pow(*point[2] - 0.7, 2) + std::pow(*point[3] - 0.2, 2)));
  };
  EXPECT_LT(best(study(space, function, 100)), 0.1);
}

TEST_F(GpSampler, HeedsRequirementsAndRepeatsNoPoint) {
  const Space plain = space_from("{width: {int: [1, 64]}, depth: {int: [1, 64]}}");
  const Space space(plain.parameters(),
                    {Expression::parse("width * depth < 256", {"width", "depth"}, {}).value()});
  const auto function = [](const Point& point) { return -*point[0] - 2 * *point[1]; };
  const std::vector<Trial> history = study(space, function, 40);
  std::set<Point> points;
  int refused = 0;
  for (const Trial& trial : history) {
    EXPECT_TRUE(points.insert(trial.point).second);
    refused += space.allows(trial.point) ? 0 : 1;
  }
  EXPECT_EQ(refused, 0);
  EXPECT_LE(best(history), -129);
}

TEST_F(GpSampler, AnswersDoNotDependOnWhatWasAskedBefore) {
  const Space space = space_from(kSquare);
  std::vector<Trial> history = study(space, bowl, 60);
  // One that has been asked all along, and then about a history that has changed in its middle.
  const auto experienced = make(space, 3);
  for (int number = 30; number < 60; ++number) {
    const std::span<const Trial> before(history.data(), static_cast<std::size_t>(number));
    EXPECT_EQ(experienced->propose(before, number), history[static_cast<std::size_t>(number)].point);
  }
  end(history[20], 7.0);
  EXPECT_EQ(experienced->propose(history, 60), make(space, 3)->propose(history, 60));
}

TEST_F(GpSampler, RefusesSeveralObjectivesAndNamesOthers) {
  const Space space = space_from(kSquare);
  const auto refused = make_sampler(typed("gp"), {.space = &space, .objectives = 2});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              testing::HasSubstr("test.yaml:1:1: the gp sampler takes one objective"));
  EXPECT_THAT(refused.error().message, testing::HasSubstr("nsga2"));
}

// A branch of one point that has been proposed, and one that no requirement allows, have no right to more.
TEST_F(GpSampler, ABranchWithoutPointsLeftDoesNotEndTheModel) {
  for (const char* yaml :
       {"{aug: {choice: [yes, no]}, x: {float: [0, 1], when: aug == yes}}",
        "{aug: {choice: [yes, no]}, x: {float: [0, 1], when: aug == yes}, require: aug == yes}"}) {
    const Space space = space_from(yaml);
    const auto sampler = make(space, 1);
    std::vector<Trial> history;
    double best = 1;
    for (int number = 0; number < 25; ++number) {
      const auto point = sampler->propose(history, number);
      ASSERT_TRUE(point.has_value());
      const double value = (*point)[1] ? std::abs(*(*point)[1] - 0.3) : 1;
      best = std::min(best, value);
      history.push_back({.number = number,
                         .point = *point,
                         .state = TrialState::complete,
                         .scores = {{.epoch = 1, .values = {value}}},
                         .values = {value}});
    }
    EXPECT_LT(best, 1e-3) << yaml;  // 25 points drawn at random come within 0.02
  }
}

}  // namespace
}  // namespace regatta
