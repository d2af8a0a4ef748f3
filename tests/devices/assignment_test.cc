// Who gets which card, and when there are too few.
#include "devices/assignment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace regatta {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Lists = std::vector<std::vector<int>>;

Result<Lists> deal(int cards, const CardDemand& demand) {
  std::vector<int> all(static_cast<std::size_t>(cards));
  std::iota(all.begin(), all.end(), 0);
  return deal_cards("a", all, demand);
}

void expect_refused(const Result<Lists>& dealt, const testing::Matcher<const std::string&>& words) {
  ASSERT_FALSE(dealt.ok());
  EXPECT_EQ(dealt.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(dealt.error().message, words);
}

TEST(DealCards, EachRankGetsItsOwn) {
  EXPECT_EQ(*deal(4, {.crews = 2, .ranks = 2}), (Lists{{0, 1}, {2, 3}}));
  EXPECT_EQ(*deal(8, {.crews = 3, .ranks = 1}), (Lists{{0}, {1}, {2}}));
}

TEST(DealCards, OnlyTheGivenOnesAreDealt) {
  const std::vector<int> cards{5, 2};
  EXPECT_EQ(*deal_cards("a", cards, {.crews = 2}), (Lists{{5}, {2}}));
}

TEST(DealCards, TooFewAreRefusedWithHostAndRanks) {
  expect_refused(
      deal(1, {.crews = 2, .ranks = 2}),
      AllOf(
          HasSubstr("host a has 1 card for 4 ranks (2 crews of 2 ranks), and 1 rank may use a card at once"),
          HasSubstr("resources.ranks_per_gpu: 4")));
  expect_refused(deal(2, {.crews = 3}), HasSubstr("3 ranks (3 crews of 1 rank)"));
}

TEST(DealCards, CrewsShareWhereThatIsAskedFor) {
  EXPECT_EQ(*deal(1, {.crews = 3, .ranks_per_card = 3}), (Lists{{0}, {0}, {0}}));
  EXPECT_EQ(*deal(2, {.crews = 4, .ranks_per_card = 2}), (Lists{{0}, {1}, {0}, {1}}));
  EXPECT_FALSE(deal(2, {.crews = 5, .ranks_per_card = 2}).ok());
}

TEST(DealCards, RanksOfACrewShareOnlyWhereTheyMust) {
  EXPECT_EQ(*deal(1, {.ranks = 2, .ranks_per_card = 2}), (Lists{{0}}));
  EXPECT_EQ(*deal(2, {.crews = 2, .ranks = 2, .ranks_per_card = 2}), (Lists{{0, 1}, {0, 1}}));
}

TEST(DealCards, AProgramMayHaveSeveralARank) {
  EXPECT_EQ(*deal(4, {.crews = 2, .ranks = 1, .cards_a_crew = 2}), (Lists{{0, 1}, {2, 3}}));
  expect_refused(deal(3, {.crews = 2, .ranks = 1, .cards_a_crew = 2}),
                 HasSubstr("host a has 3 cards for 2 crews of 1 rank with 2 cards each"));
  expect_refused(deal(1, {.cards_a_crew = 2}), HasSubstr("asks for 2 a crew: ask for fewer"));
}

TEST(DealCards, NoCardHasMoreRanksThanMayShareIt) {
  for (int cards = 1; cards <= 5; ++cards) {
    for (int crews = 1; crews <= 5; ++crews) {
      for (int ranks = 1; ranks <= 4; ++ranks) {
        for (int limit = 1; limit <= 3; ++limit) {
          const auto dealt = deal(cards, {.crews = crews, .ranks = ranks, .ranks_per_card = limit});
          EXPECT_TRUE(dealt.ok() || crews * ranks > cards) << cards << crews << ranks << limit;
          if (!dealt.ok()) {
            continue;
          }
          std::vector<int> load(static_cast<std::size_t>(cards), 0);
          for (const auto& crew : *dealt) {
            for (int rank = 0; rank < ranks; ++rank) {
              ++load[static_cast<std::size_t>(crew[static_cast<std::size_t>(rank) % crew.size()])];
            }
          }
          EXPECT_LE(*std::ranges::max_element(load), limit);
        }
      }
    }
  }
}

TEST(CrewsForCards, AreAsManyAsHaveCards) {
  EXPECT_EQ(crews_for_cards(8, {.ranks = 2}), 4);
  EXPECT_EQ(crews_for_cards(1, {.ranks_per_card = 4}), 4);
  EXPECT_EQ(crews_for_cards(8, {.ranks = 1, .cards_a_crew = 4}), 2);
  EXPECT_EQ(crews_for_cards(1, {.ranks = 4}), 1);
}

TEST(CardsOfRanks, RanksOnAHostTakeItsCardsInTurn) {
  const std::vector<RankSeat> seats{{"a", 2}, {"a", 2}, {"b", 2}, {"b", 2}};
  EXPECT_THAT(*cards_of_ranks(seats, 1), ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(*cards_of_ranks(std::vector<RankSeat>(4, {"a", 2}), 2), ElementsAre(0, 1, 0, 1));
}

TEST(CardsOfRanks, TooFewAreRefusedWithHostAndRanks) {
  const std::vector<RankSeat> seats{{"a", 1}, {"b", 1}, {"b", 1}};
  const auto cards = cards_of_ranks(seats, 1);
  ASSERT_FALSE(cards.ok());
  EXPECT_THAT(cards.error().message, HasSubstr("host b has 1 card for 2 ranks of the crew (1, 2)"));
  EXPECT_THAT(cards_of_ranks(std::vector<RankSeat>{{"c", 0}}, 4).error().message,
              HasSubstr("host c has 0 cards"));
}

TEST(SharedCard, IsToldByTheRanksThatHaveIt) {
  EXPECT_FALSE(describe_shared_card(std::vector<RankCard>{{"a", "1"}, {"b", "1"}, {"a", "2"}}));
  EXPECT_EQ(describe_shared_card(std::vector<RankCard>{{"a", "1"}, {"b", "2"}, {"a", "1"}}),
            "ranks 0 and 2 of the crew both have card 1 of host a");
}

TEST(VisibleDevices, CountWithinWhatThisProcessSees) {
  const std::vector<int> cards{1, 0};
  EXPECT_EQ(visible_devices(std::nullopt, cards), "1,0");
  EXPECT_EQ(visible_devices("3,5", cards), "5,3");
  EXPECT_EQ(visible_devices("GPU-aa,MIG-bb,7", std::vector<int>{1}), "MIG-bb");
}

}  // namespace
}  // namespace regatta
