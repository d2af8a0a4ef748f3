// Where crews go, as a table.
#include "cluster/placement.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::HasSubstr;

std::vector<RoomOnHost> room(const std::vector<int>& slots) {
  std::vector<RoomOnHost> hosts;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    hosts.push_back({.host = std::string(1, static_cast<char>('a' + i)), .slots = slots[i]});
  }
  return hosts;
}

// "a2 b2 a1+b1": three crews, the last one over two hosts.
std::string text_of(const std::vector<CrewPlace>& places) {
  std::vector<std::string> crews;
  for (const CrewPlace& place : places) {
    std::vector<std::string> parts;
    for (const PlacedRanks& part : place) {
      parts.push_back(fmt::format("{}{}", part.host, part.ranks));
    }
    crews.push_back(fmt::format("{}", fmt::join(parts, "+")));
  }
  return fmt::format("{}", fmt::join(crews, " "));
}

TEST(Placement, IsWholeOnAHostWhereItFitsAndOverHostsWhereItMust) {
  struct Case {
    std::vector<int> slots;
    int ranks;
    std::optional<int> crews;
    std::string places;
  };
  const std::vector<Case> cases = {
      {{4}, 1, {}, "a1 a1 a1 a1"},
      {{4, 4}, 4, {}, "a4 b4"},
      {{4, 4}, 2, {}, "a2 b2 a2 b2"},
      {{4, 4}, 2, 2, "a2 b2"},        // fewer than there is room for: spread
      {{4, 4}, 3, {}, "a3 b3"},       // by default no crew over hosts where one fits whole
      {{3, 3}, 2, 3, "a2 b2 a1+b1"},  // but where it is asked for
      {{4, 4}, 8, {}, "a4+b4"},       // where none fits whole
      {{1, 1, 1, 1}, 2, {}, "a1+b1 c1+d1"},
      {{2, 6}, 7, {}, "a1+b6"},  // over as few hosts as can be, most of it where most is free
      {{1, 5, 3}, 8, {}, "b5+c3"},
      {{8, 2}, 4, 2, "a4 a4"},
      {{2, 4, 4}, 4, {}, "b4 c4"}};
  for (const Case& one : cases) {
    const auto places = place_crews(room(one.slots), {.crews = one.crews, .ranks = one.ranks});
    ASSERT_TRUE(places.ok()) << places.error().message;
    EXPECT_EQ(text_of(*places), one.places);
  }
}

TEST(Placement, RefusesWhatHasNoRoomWithTheArithmetic) {
  const auto places = place_crews(room({4, 4}), {.crews = 3, .ranks = 3});
  ASSERT_FALSE(places.ok());
  EXPECT_THAT(places.error().message,
              HasSubstr("3 crews of 3 ranks need 9 slots, but the hosts (a:4, b:4) have 8: lower"));
  EXPECT_THAT(place_crews(room({1}), {.crews = {}, .ranks = 2}).error().message,
              HasSubstr("1 crew of 2 ranks needs 2 slots, but the hosts (a:1) have 1"));
}

TEST(Placement, OfASeveralSlotCrewNamesEachHostOnce) {
  const CrewPlace joined = join_places({{{.host = "a", .ranks = 2, .cards = {0}}},
                                        {{.host = "b", .ranks = 2}},
                                        {{.host = "a", .ranks = 2, .cards = {1, 0}}}});
  ASSERT_EQ(joined.size(), 2U);
  EXPECT_EQ(joined[0], (PlacedRanks{.host = "a", .ranks = 4, .cards = {0, 1}}));
  EXPECT_EQ(joined[1].ranks, 2);
}

}  // namespace
}  // namespace regatta
