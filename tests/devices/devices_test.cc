// What is found on this machine, whatever that is.
#include "devices/devices.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(Devices, ThereAreCardsOrASentenceWhyThereAreNone) {
  const FoundDevices found = find_devices();
  EXPECT_EQ(found.cards.empty(), !found.why_none.empty()) << found.why_none;
  for (std::size_t i = 0; i < found.cards.size(); ++i) {
    EXPECT_EQ(found.cards[i].index, static_cast<int>(i));
    EXPECT_FALSE(found.cards[i].bus.empty());
    EXPECT_GT(found.cards[i].memory_bytes, 0U);
  }
}

}  // namespace
}  // namespace regatta
