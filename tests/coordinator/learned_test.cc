// What was learned from earlier studies comes back from the store bit by bit.
#include "coordinator/learned.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "coordinator/store.h"

namespace regatta {
namespace {

std::vector<EarlierStudy> two_studies() {
  EarlierStudy first{.outside = 3};
  first.trials = {{.number = 0,
                   .point = {0.1 + 0.2, std::nullopt, 1e-300},
                   .state = TrialState::stopped,
                   .scores = {{.epoch = 1, .values = {0.7, -1}}, {.epoch = 4, .values = {1.0 / 3, 2}}},
                   .values = {1.0 / 3, 2}},
                  {.number = 1, .point = {0.5, 2.0, 3.0}, .state = TrialState::failed},
                  {.number = 2, .point = {0.5, 2.0, 4.0}, .state = TrialState::complete}};
  return {first, EarlierStudy{}};
}

void expect_equal(const std::vector<EarlierStudy>& a, const std::vector<EarlierStudy>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].outside, b[i].outside);
    ASSERT_EQ(a[i].trials.size(), b[i].trials.size());
    for (std::size_t k = 0; k < a[i].trials.size(); ++k) {
      const Trial& mine = a[i].trials[k];
      const Trial& other = b[i].trials[k];
      EXPECT_EQ(mine.number, other.number);
      EXPECT_EQ(mine.point, other.point);
      EXPECT_EQ(mine.state, other.state);
      EXPECT_EQ(mine.values, other.values);
      ASSERT_EQ(mine.scores.size(), other.scores.size());
      for (std::size_t s = 0; s < mine.scores.size(); ++s) {
        EXPECT_EQ(mine.scores[s].epoch, other.scores[s].epoch);
        EXPECT_EQ(mine.scores[s].values, other.scores[s].values);
      }
    }
  }
}

TEST(Learned, ReadsBackAsItWasWritten) {
  expect_equal(decode_learned(encode_learned(two_studies())).value(), two_studies());
  EXPECT_EQ(encode_learned({}), "");
  EXPECT_TRUE(decode_learned("").value().empty());
}

TEST(Learned, StandsInTheStudysFile) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  const auto experiment = parse_experiment("objective: {minimize: loss}\n", "exp.yaml").value();
  {
    const auto store = Store::create(folder->path(), experiment, encode_learned(two_studies()));
    ASSERT_TRUE(store.ok()) << store.error().message;
    ASSERT_TRUE((*store)->close().ok());
  }
  const auto stored = Store::read(folder->path());
  ASSERT_TRUE(stored.ok()) << stored.error().message;
  expect_equal(decode_learned(stored->learned).value(), two_studies());
}

TEST(Learned, BrokenTextIsAnError) {
  const std::string text = encode_learned(two_studies());
  for (std::size_t length = 1; length < text.size(); length += 7) {
    EXPECT_FALSE(decode_learned(text.substr(0, length)).ok()) << length;
  }
  for (const char* broken : {"{}x", "[3]", R"([{"outside": 0, "trials": [["complete"]]}])", "[{}]",
                             R"([{"outside": 1e300, "trials": []}])",
                             R"([{"outside": 0, "trials": [["complete", [1], [[0.5, [1]]], [1]]]}])",
                             R"([{"outside": 0, "trials": [["running", [1], [], []]]}])"}) {
    EXPECT_FALSE(decode_learned(broken).ok()) << broken;
  }
}

}  // namespace
}  // namespace regatta
