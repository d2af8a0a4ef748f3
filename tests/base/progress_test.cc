// Who hears of progress.
#include "base/progress.h"

#include <gtest/gtest.h>

#include <thread>

namespace regatta {
namespace {

TEST(Progress, IsHeardByTheNewestListenerOfItsThread) {
  int outer = 0;
  int inner = 0;
  note_progress();
  {
    const ProgressListener first([&] { ++outer; });
    note_progress();
    {
      const ProgressListener second([&] { ++inner; });
      note_progress();
      note_progress();
    }
    note_progress();
    const std::jthread other([] { note_progress(); });
  }
  note_progress();
  EXPECT_EQ(outer, 2);
  EXPECT_EQ(inner, 2);
}

}  // namespace
}  // namespace regatta
