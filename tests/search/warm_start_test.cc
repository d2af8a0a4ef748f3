// Earlier studies as evidence: a model that is told of a like problem finds its optimum sooner, and one that
// is told lies recovers.
#include "search/warm_start.h"

#include <gmock/gmock.h>

#include <cmath>

#include "base/random.h"
#include "search/sampler.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

// A narrow bowl with its bottom at `centre` in every parameter.
double bowl(const Point& point, double centre) {
  double sum = 0;
  for (const auto& x : point) {
    sum += std::abs(*x - centre);
  }
  return sum;
}

Trial ended(int number, Point point, double value) {
  return {.number = number,
          .point = std::move(point),
          .state = TrialState::complete,
          .scores = {{.epoch = 1, .values = {value}}},
          .values = {value}};
}

EarlierStudy random_study(const Space& space, int count, const std::function<double(const Point&)>& value) {
  const Random random(17, "earlier study of a test");
  EarlierStudy study;
  for (int number = 0; number < count; ++number) {
    std::vector<double> unit(space.size());
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = random.uniform(static_cast<std::uint64_t>(number) * unit.size() + i);
    }
    Point point = space.from_unit(unit);
    const double found = value(point);
    study.trials.push_back(ended(number, std::move(point), found));
  }
  return study;
}

double best_of(Sampler& sampler, int trials, const std::function<double(const Point&)>& value) {
  std::vector<Trial> history;
  double best = 1e9;
  for (int number = 0; number < trials; ++number) {
    Point point = *sampler.propose(history, number);
    const double found = value(point);
    best = std::min(best, found);
    history.push_back(ended(number, std::move(point), found));
  }
  return best;
}

constexpr const char* kSpace =
    "{a: {float: [0, 1]}, b: {float: [0, 1]}, c: {float: [0, 1]}, d: {float: [0, 1]}}";

TEST(WarmStart, FindsTheOptimumOfALikeProblemSooner) {
  const Space space = space_from(kSpace);
  // Another scale and a slightly different place: only the order of values tells.
  const auto earlier =
      random_study(space, 60, [](const Point& point) { return 1000 * std::exp(bowl(point, 0.28)); });
  double with = 0;
  double without = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto value = [](const Point& point) { return bowl(point, 0.3); };
    with += best_of(
        *make_sampler(typed("tpe"), {.space = &space, .seed = seed, .earlier = {earlier}}).value(), 8, value);
    without += best_of(*make_sampler(typed("tpe"), {.space = &space, .seed = seed}).value(), 8, value);
  }
  EXPECT_LT(with, 0.8 * without);
}

TEST(WarmStart, RecoversFromAStudyOfTheOpposite) {
  const Space space = space_from(kSpace);
  const auto earlier = random_study(space, 60, [](const Point& point) { return -bowl(point, 0.3); });
  double with = 0;
  double without = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto value = [](const Point& point) { return bowl(point, 0.3); };
    with +=
        best_of(*make_sampler(typed("tpe"), {.space = &space, .seed = seed, .earlier = {earlier}}).value(),
                60, value);
    without += best_of(*make_sampler(typed("tpe"), {.space = &space, .seed = seed}).value(), 60, value);
  }
  EXPECT_LT(with, 1.5 * without);
}

// A sampler that keeps what it was told.
class Listener final : public Sampler {
 public:
  explicit Listener(std::vector<Trial>* told) : told_(told) {}
  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    EXPECT_EQ(static_cast<int>(history.size()), number);
    told_->assign(history.begin(), history.end());
    return Point{0.5};
  }

 private:
  std::vector<Trial>* told_;
};

class PseudoTrials : public testing::Test {
 protected:
  const std::vector<Trial>& told(const std::vector<Trial>& history) {
    const SearchContext context{.space = &space_, .earlier = {study_}};
    const auto make = [this] { return std::make_unique<Listener>(&told_); };
    with_warm_start(make(), make, context)->propose(history, static_cast<int>(history.size()));
    return told_;
  }

  Space space_ = space_from("{x: {float: [0, 1]}}");
  // On another scale than what this study will measure.
  EarlierStudy study_ =
      random_study(space_, 100, [](const Point& point) { return 1e6 * std::abs(*point[0] - 0.4); });
  std::vector<Trial> told_;
};

TEST_F(PseudoTrials, StandBeforeTheHistoryAndAreNumberedWithIt) {
  const std::vector<Trial> history = {ended(0, {0.123}, 5)};
  const std::vector<Trial>& all = told(history);
  ASSERT_GT(all.size(), 10U);
  EXPECT_EQ(all.back().point, history[0].point);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].number, static_cast<int>(i));
  }
}

TEST_F(PseudoTrials, AreNeverBetterThanWhatTheStudyHasSeenAndKeepTheirOrder) {
  std::vector<Trial> history;
  for (int number = 0; number < 4; ++number) {
    const double x = 0.05 + 0.2 * number;
    history.push_back(ended(number, {x}, 3 + std::abs(x - 0.4)));
  }
  const double best = 3 + std::abs(0.05 + 0.2 * 2 - 0.4);
  const std::vector<Trial>& all = told(history);
  const std::size_t added = all.size() - history.size();
  ASSERT_GT(added, 5U);
  for (std::size_t i = 0; i < added; ++i) {
    EXPECT_GE(all[i].values[0], best);
    EXPECT_LT(all[i].values[0], 5);  // of the order of the own values, not of a million
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_EQ(std::abs(*all[j].point[0] - 0.4) < std::abs(*all[i].point[0] - 0.4),
                all[j].values[0] < all[i].values[0]);
    }
  }
  for (std::size_t i = 0; i < history.size(); ++i) {
    EXPECT_EQ(all[added + i].values, history[i].values);
  }
}

TEST_F(PseudoTrials, FadeWithOwnValuesAndAtOnceWhereThoseDisagree) {
  const auto added_to = [&](int count, const std::function<double(double)>& value) {
    std::vector<Trial> history;
    for (int number = 0; number < count; ++number) {
      const double x = (number + 0.5) / count;
      history.push_back(ended(number, {x}, value(x)));
    }
    return told(history).size() - history.size();
  };
  const auto alike = [](double x) { return std::abs(x - 0.4); };
  const auto opposite = [](double x) { return -std::abs(x - 0.4); };
  EXPECT_GT(added_to(3, alike), added_to(5, alike));
  EXPECT_GT(added_to(5, alike), 2U);
  EXPECT_EQ(added_to(6, alike), 0U);
  EXPECT_EQ(added_to(5, opposite), 0U);
}

TEST_F(PseudoTrials, AreNotShownInASmallFiniteSpace) {
  space_ = space_from("{x: {int: [0, 50]}}");
  study_ = random_study(space_, 30, [](const Point& point) { return *point[0]; });
  EXPECT_TRUE(told({}).empty());
}

}  // namespace
}  // namespace regatta
