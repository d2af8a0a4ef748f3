// How long the ranks of a crew wait for one another: not long in steps, longer where files are read or
// written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "protocol/messages.pb.h"
#include "scripted_control.h"
#include "worker/agreement.h"
#include "worker/crew.h"
#include "worker/steering.h"

namespace regatta {
namespace {

using std::chrono::minutes;
using testing::ElementsAre;
using testing::Ge;
using testing::Le;

const auto kOfSteps = Le(Microseconds(minutes(1)));
const auto kOfFiles = Ge(Microseconds(minutes(10)));

// One rank of two, whose peer brings zeros to sums and `texts` to broadcasts.
class RecordingCommunicator final : public Communicator {
 public:
  explicit RecordingCommunicator(int rank) : rank_(rank) {}

  std::deque<std::string> texts;
  std::vector<Microseconds> limits;  // of the sums, and of the first broadcast of each text

  int rank() const override { return rank_; }
  int size() const override { return 2; }
  Status allreduce(std::span<float>, const CollectiveOptions& options) override { return record(options); }
  Status allreduce(std::span<double>, const CollectiveOptions& options) override { return record(options); }
  Status broadcast(std::span<std::byte> data, int, const CollectiveOptions& options) override {
    if (length_told_) {
      length_told_ = false;
      std::ranges::copy(std::as_bytes(std::span(texts.front())), data.begin());
      texts.pop_front();
      return {};
    }
    const std::uint64_t length = texts.front().size();
    std::ranges::copy(std::as_bytes(std::span(&length, 1)), data.begin());
    length_told_ = length > 0;
    if (length == 0) {
      texts.pop_front();
    }
    return record(options);
  }
  Status allgather(std::span<const std::byte>, std::span<std::byte>, const CollectiveOptions&) override {
    return failure("not scripted");
  }
  Status reduce_scatter(std::span<const float>, std::span<float>, const CollectiveOptions&) override {
    return failure("not scripted");
  }
  Status barrier(const CollectiveOptions&) override { return failure("not scripted"); }

 private:
  Status record(const CollectiveOptions& options) {
    limits.push_back(options.timeout);
    return {};
  }

  int rank_;
  bool length_told_ = false;
};

TEST(Limits, RanksWaitLongForOneThatReadsOrWrites) {
  RecordingCommunicator communicator(1);
  ASSERT_TRUE(first_failure(communicator, {}).ok());
  EXPECT_THAT(communicator.limits, ElementsAre(kOfFiles));
}

// The leader may have to wait for the coordinator before it can report.
TEST(Limits, OnlyTheFirstMeetingAfterAnEpochIsWaitedForLong) {
  RecordingCommunicator communicator(0);
  const VirtualClock clock;
  ScriptedControl control({.until_epoch = 1});
  control.on_decide = [&](int asked) {
    if (asked == 3) {
      control.grant(2);
    }
  };
  Steering steering(communicator, clock, 1);
  steering.seat(0, &control, 1);
  steering.stand(0, 1, true);
  for (int wait = 0; wait < 3; ++wait) {
    ASSERT_TRUE(steering.wait().ok());
  }
  EXPECT_THAT(communicator.limits, ElementsAre(kOfFiles, kOfSteps, kOfSteps));
  communicator.limits.clear();
  steering.begin_steps();
  for (int step = 0; step < 3; ++step) {
    ASSERT_TRUE(steering.at_step().ok());
  }
  EXPECT_THAT(communicator.limits, ElementsAre(kOfFiles, kOfSteps, kOfSteps));
}

TEST(Limits, FollowersWaitLongForTheLeaderAfterAnOrder) {
  RecordingCommunicator communicator(1);
  wire::ToCrew welcome;
  welcome.mutable_welcome()->set_experiment_yaml("objective: {minimize: loss}\ncommand: [a]\n");
  welcome.mutable_welcome()->set_experiment_file("exp.yaml");
  wire::ToCrew dismiss;
  dismiss.mutable_dismiss();
  communicator.texts = {"", welcome.SerializeAsString(), "", dismiss.SerializeAsString()};
  const Status status = run_crew(communicator, {.folder = "runs/a"});
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_THAT(communicator.limits, ElementsAre(kOfSteps, kOfSteps, kOfFiles, kOfSteps));
}

}  // namespace
}  // namespace regatta
