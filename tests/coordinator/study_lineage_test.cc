// Trials that begin with another trial's checkpoint, and points that the scheduler chooses.
#include <gmock/gmock.h>

#include <algorithm>

#include "study_kit.h"

namespace regatta {
namespace {

constexpr const char* kPair =
    "scheduler: {type: pbt, max_epochs: 4, interval: 1, population: 2, quantile: 0.5}, stop: {trials: 9}";

class StudyLineage : public testing::Test {
 protected:
  // Trials 0 and 1 have trained for an epoch, 0 then for another, and is so bad that trial 2 takes its place.
  void begin() {
    race_.join("a");
    race_.join("b");
    race_.report(1, 1, {{"loss", 0.5}}, "checkpoints/0-1");
    race_.report(2, 1, {{"loss", 0.1}}, "checkpoints/1-1");
    race_.report(1, 2, {{"loss", 0.6}}, "checkpoints/0-2");
    race_.tell(LaneFree{.crew = "a"});
  }

  bool is_deleted(const std::string& checkpoint) const {
    const auto& deleted = race_.deleted();
    return std::find(deleted.begin(), deleted.end(), checkpoint) != deleted.end();
  }

  Race race_{kPair};
};

TEST_F(StudyLineage, AChildBeginsWithItsParentsNewestCheckpoint) {
  begin();
  EXPECT_EQ(race_.trial(0).state, TrialState::stopped);
  const auto started = race_.events_of<AttemptStarted>();
  ASSERT_EQ(started.size(), 3U);
  EXPECT_EQ(started[2].trial, 2);
  EXPECT_EQ(started[2].checkpoint, "checkpoints/1-1");
  EXPECT_EQ(started[2].until_epoch, 2);
  EXPECT_EQ(race_.events_of<TrialProposed>()[2].parent, 1);
  EXPECT_EQ(race_.record(2).parent, 1);
}

TEST_F(StudyLineage, TheParentsFileIsKeptUntilTheChildHasItsOwn) {
  begin();
  race_.report(2, 2, {{"loss", 0.05}}, "checkpoints/1-2");
  EXPECT_FALSE(is_deleted("checkpoints/1-1"));
  EXPECT_THAT(race_.study().checkpoints(), testing::Contains("checkpoints/1-1"));
  race_.report(3, 2, {{"loss", 0.04}}, "checkpoints/2-2");
  EXPECT_TRUE(is_deleted("checkpoints/1-1"));
  EXPECT_FALSE(is_deleted("checkpoints/1-2"));
}

TEST_F(StudyLineage, AChildThatIsLostBeforeItsFirstReportBeginsThereAgain) {
  begin();
  race_.report(2, 2, {{"loss", 0.05}}, "checkpoints/1-2");
  race_.lose("a");
  race_.join("c");
  const AttemptStarted again = race_.events_of<AttemptStarted>().back();
  EXPECT_EQ(again.trial, 2);
  EXPECT_EQ(again.checkpoint, "checkpoints/1-1");
}

TEST_F(StudyLineage, AnInterruptedChildStillHasItsParentsFile) {
  begin();
  race_.finish(3, Outcome::interrupted, {}, "checkpoints/1-1");
  race_.report(2, 2, {{"loss", 0.05}}, "checkpoints/1-2");
  EXPECT_TRUE(race_.record(2).inherits);
  EXPECT_FALSE(is_deleted("checkpoints/1-1"));
}

TEST_F(StudyLineage, AReplayedStudyKnowsTheLineage) {
  begin();
  race_.crash();
  EXPECT_EQ(race_.record(2).parent, 1);
  EXPECT_TRUE(race_.record(2).inherits);
  EXPECT_EQ(race_.record(2).checkpoint, "checkpoints/1-1");
}

TEST(Lineage, IsStoredOnlyWhereThereIsOne) {
  const EncodedEvent plain = encode(TrialProposed{.trial = 3, .point = {0.5}, .bracket = 1});
  EXPECT_EQ(plain.body, R"({"bracket":1,"point":[0.5],"trial":3})");
  const EncodedEvent child = encode(TrialProposed{.trial = 3, .point = {0.5}, .bracket = 1, .parent = 2});
  const Event read = decode(child).value();
  EXPECT_EQ(std::get<TrialProposed>(read).parent, 2);
  EXPECT_EQ(std::get<TrialProposed>(decode(plain).value()).parent, std::nullopt);
}

}  // namespace
}  // namespace regatta
