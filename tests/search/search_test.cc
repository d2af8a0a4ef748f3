// The `search:` section: its fallbacks, its natural ends, and its mistakes.
#include "search/search.h"

#include <gmock/gmock.h>

namespace regatta {
namespace {

Result<SearchConfig> read(const std::string& search, const std::string& space = "x: {float: [0, 1]}") {
  const std::string yaml =
      "objective: {minimize: loss}\n" + search + "\nspace: {" + space + "}\ncommand: [train, $x]\n";
  return read_search(parse_experiment(yaml, "exp.yaml").value());
}

std::string message_of(const Result<SearchConfig>& result) {
  return result.ok() ? "no error" : result.error().message;
}

TEST(Search, FallsBackToRandomAndFifo) {
  const SearchConfig config = read("search: {stop: {trials: 7}}").value();
  EXPECT_EQ(config.sampler.type, "auto");
  EXPECT_EQ(config.scheduler.type, "fifo");
  EXPECT_EQ(config.stop.trials, 7);
  EXPECT_FALSE(config.stop.hours || config.stop.target);
}

TEST(Search, ReadsEveryStopRule) {
  const StopRule stop = read("search: {stop: {trials: 100, hours: 0.5, target: 0.93}}").value().stop;
  EXPECT_EQ(stop.trials, 100);
  EXPECT_EQ(stop.hours, 0.5);
  EXPECT_EQ(stop.target, 0.93);
}

TEST(Search, WithoutAStopRuleAGridEndsWithItsLastPoint) {
  const SearchConfig config = read("search: {sampler: grid}", "x: {int: [1, 6]}").value();
  EXPECT_EQ(config.stop.trials, 6);
}

TEST(Search, WithoutAStopRuleHyperbandEndsWithOneRound) {
  const SearchConfig config = read("search: {scheduler: {type: hyperband, max_epochs: 81}}").value();
  EXPECT_EQ(config.stop.trials, 143);
}

TEST(Search, AGivenStopRuleIsLeftAlone) {
  const auto config = read("search: {scheduler: {type: hyperband, max_epochs: 81}, stop: {hours: 2}}");
  EXPECT_FALSE(config.value().stop.trials.has_value());
}

TEST(Search, AStudyWithoutAnEndIsRefused) {
  EXPECT_THAT(message_of(read("")), testing::HasSubstr("the study would never end"));
  EXPECT_THAT(message_of(read("search: {scheduler: {type: asha, max_epochs: 9}}")),
              testing::StartsWith("exp.yaml:2:9: the study would never end"));
}

TEST(Search, AGridUnderRequirementsEndsWithTheLastPointThatIsAllowed) {
  EXPECT_EQ(read("search: {sampler: grid}", "x: {int: [1, 6]}, require: x > 2").value().stop.trials, 4);
}

TEST(Search, ReadsPointsToTryAndStudiesToLearnFrom) {
  const SearchConfig config =
      read("search: {try: [{x: 0.25}], learn_from: [runs/a, ../b], stop: {trials: 7}}").value();
  EXPECT_EQ(config.known, std::vector<Point>{{0.25}});
  ASSERT_EQ(config.learn_from.size(), 2U);
  EXPECT_EQ(config.learn_from[1].study, "../b");
  EXPECT_EQ(config.learn_from[1].place.str(), "exp.yaml:2:49");
  EXPECT_EQ(read("search: {learn_from: runs/a, stop: {trials: 7}}").value().learn_from.size(), 1U);
  EXPECT_TRUE(config.earlier.empty());  // nothing is read from disk here
}

TEST(Search, MistakesAreToldWithTheirPlace) {
  EXPECT_THAT(message_of(read("search: {try: [{x: 2}], stop: {trials: 1}}")),
              testing::StartsWith("exp.yaml:2:20: 'x' is a number from 0 to 1, never 2"));
  EXPECT_THAT(message_of(read("search: {learn_from: {a: 1}, stop: {trials: 1}}")),
              testing::StartsWith("exp.yaml:2:22: expected the folder of a study to learn from"));
  EXPECT_THAT(message_of(read("search: {sampler: randum, stop: {trials: 1}}")),
              testing::StartsWith("exp.yaml:2:19: 'randum' is not a sampler"));
  EXPECT_THAT(message_of(read("search: {scheduler: {type: hyperbnd}, stop: {trials: 1}}")),
              testing::HasSubstr("(did you mean 'hyperband'?)"));
  EXPECT_THAT(message_of(read("search: {scheduler: {type: hyperband, max_epoch: 9}}")),
              testing::HasSubstr("(did you mean 'max_epochs'?)"));
  EXPECT_THAT(message_of(read("search: {scheduler: {type: hyperband, min_epochs: 9, max_epochs: 3}}")),
              testing::HasSubstr("expected min_epochs to be at most max_epochs"));
  EXPECT_THAT(message_of(read("search: {stop: {trial: 5}}")), testing::HasSubstr("(did you mean 'trials'?)"));
  EXPECT_THAT(message_of(read("search: {stop: {trials: 0}}")), testing::HasSubstr("'trials'"));
  EXPECT_THAT(message_of(read("search: {smapler: grid}")), testing::HasSubstr("(did you mean 'sampler'?)"));
}

}  // namespace
}  // namespace regatta
