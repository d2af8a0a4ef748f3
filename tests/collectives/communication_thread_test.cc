// The thread beside the computing one.
#include "collectives/communication_thread.h"

#include <gtest/gtest.h>

#include <vector>

namespace regatta {
namespace {

TEST(CommunicationThread, CarriesOutWhatIsAskedInOrderHoweverMuchItIs) {
  std::vector<std::size_t> seen;
  CommunicationThread thread([&](const CommunicationThread::Task& task) {
    seen.push_back(task.count);
    return Status();
  });
  for (std::size_t i = 0; i < 1000; ++i) {  // far more than the queue holds
    ASSERT_TRUE(thread.ask({.count = i}).ok());
  }
  ASSERT_TRUE(thread.wait().ok());
  ASSERT_EQ(seen.size(), 1000U);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i], i);
  }
}

TEST(CommunicationThread, DoesNothingAfterAnErrorAndTellsIt) {
  int carried_out = 0;
  CommunicationThread thread([&](const CommunicationThread::Task&) {
    ++carried_out;
    return carried_out == 2 ? Status(timed_out("the peer is gone")) : Status();
  });
  for (int i = 0; i < 5; ++i) {
    (void)thread.ask({});
  }
  const Status status = thread.wait();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "the peer is gone");
  EXPECT_EQ(carried_out, 2);
}

}  // namespace
}  // namespace regatta
