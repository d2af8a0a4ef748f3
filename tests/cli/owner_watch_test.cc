// A coordinator that was asked to end, and the lock that is looked at meanwhile.
#include "cli/owner_watch.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

LockOwner owner(const std::string& host, int renewals, LockOwner::Life life = LockOwner::Life::elsewhere) {
  return {.host = host,
          .process = 17,
          .identity = host + " 17 1 place",
          .text = host + " 17 1 place " + std::to_string(renewals),
          .life = life};
}

TEST(OwnerWatch, AnOwnerThatRenewsItsLockHoldsTheStudy) {
  OwnerWatch watch(owner("a", 0), seconds(0));
  for (int second = 1; second < 100; ++second) {
    EXPECT_EQ(watch.look(owner("a", second / 5), seconds(second)), OwnerFate::holds) << second;
  }
  EXPECT_EQ(watch.look(owner("a", 19), seconds(125)), OwnerFate::holds);
  EXPECT_EQ(watch.look(owner("a", 19), seconds(126)), OwnerFate::silent);
}

TEST(OwnerWatch, ALockThatIsMovedAsideForAMomentIsNotGone) {
  OwnerWatch watch(owner("a", 0), seconds(0));
  EXPECT_EQ(watch.look({}, milliseconds(250)), OwnerFate::holds);
  EXPECT_EQ(watch.look(owner("a", 0), milliseconds(500)), OwnerFate::holds);
  EXPECT_EQ(watch.look({}, milliseconds(750)), OwnerFate::holds);
  EXPECT_EQ(watch.look({}, milliseconds(1000)), OwnerFate::gone);
}

TEST(OwnerWatch, AnotherOwnersLockIsNotTheEndOfTheStudy) {
  OwnerWatch watch(owner("a", 0), seconds(0));
  EXPECT_EQ(watch.look(LockOwner{}, seconds(1)), OwnerFate::holds) << "whose, is not written yet";
  EXPECT_EQ(watch.look(owner("b", 0), seconds(2)), OwnerFate::replaced);
}

TEST(OwnerWatch, ALockWhoseWriterDiedBeforeItWroteFallsSilent) {
  OwnerWatch watch(LockOwner{}, seconds(0));
  EXPECT_EQ(watch.look(LockOwner{}, seconds(30)), OwnerFate::holds);
  EXPECT_EQ(watch.look(LockOwner{}, seconds(31)), OwnerFate::silent);
}

TEST(OwnerWatch, ADeadOwnerIsTold) {
  OwnerWatch watch(owner("a", 0), seconds(0));
  EXPECT_EQ(watch.look(owner("a", 1, LockOwner::Life::dead), seconds(1)), OwnerFate::died);
}

}  // namespace
}  // namespace regatta
