// The end of a study in words.
#include "cli/summary.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(DescribeEndTest, TellsWhatWentWrongWhateverTheReason) {
  EXPECT_EQ(describe_end({.reason = StudyEnded::Reason::finished, .message = {}}), "finished");
  for (const auto reason : {StudyEnded::Reason::finished, StudyEnded::Reason::target_reached,
                            StudyEnded::Reason::time_over, StudyEnded::Reason::failed}) {
    const std::string text = describe_end({.reason = reason, .message = "trial 3 left no checkpoint"});
    EXPECT_NE(text.find(": trial 3 left no checkpoint"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace regatta
