// What the tests of crews that grow and split share.
#include "elastic_kit.h"

#include <gmock/gmock.h>

#include <utility>

namespace regatta {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

StudyOptions elastic(ElasticOptions options) { return {.evaluate_best = false, .elastic = options}; }

void join(Race& race, const std::string& crew, const Slots& slots, std::vector<AttemptId> attempts) {
  race.tell(CrewJoined{.crew = crew, .attempts = std::move(attempts), .slots = slots});
}

std::vector<std::string> dismissed(const Race& race) {
  std::vector<std::string> crews;
  for (const auto& command : race.commands_of<DismissCrew>()) {
    crews.push_back(command.crew);
  }
  return crews;
}

std::vector<std::vector<Slots>> reshaped(const Race& race) {
  std::vector<std::vector<Slots>> crews;
  for (const auto& command : race.commands_of<ReshapeCrews>()) {
    crews.push_back(command.crews);
  }
  return crews;
}

void order_growth(Race& race) {
  join(race, "a", {0});
  join(race, "b", {1});
  ASSERT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty()) << "no epoch has been measured";
  race.report(1, 0.5);
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0, 1})));
  ASSERT_THAT(dismissed(race), ElementsAre("b"));
}

void reach_handover(Race& race) {
  order_growth(race);
  join(race, "ab", {0, 1});
  ASSERT_THAT(race.commands(), IsEmpty()) << "it has no data yet";
  race.tell(LaneFree{.crew = "ab"});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  ASSERT_EQ(race.commands_of<SuspendAttempt>()[0].crew, "a");
}

void hand_over(Race& race) {
  reach_handover(race);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  ASSERT_THAT(dismissed(race), ElementsAre("a"));
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
}

void order_split(Race& race) {
  join(race, "a", {0});
  join(race, "b", {1});
  race.join("guest");
  race.report(1, 0.5);
  race.finish(2, Outcome::failed, "its program fails");
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0, 1})));
  race.lose("b", true);
  join(race, "ab", {0, 1});
  race.tell(LaneFree{.crew = "ab"});
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.lose("a", true);
  ASSERT_EQ(race.record(0).crew, "ab");
  race.lose("guest");
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0}, Slots{1})));
}

void fail_split(Race& race) {
  order_split(race);
  join(race, "a2", {0});
  ASSERT_EQ(race.record(2).crew, "a2");
  race.wait(seconds(61));
  race.tell(CrewHeard{.crew = "ab"});
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0, 1})));
}

}  // namespace regatta
