// A coordinator dies and another takes its study over while the crews live on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/file.h"
#include "session.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using ToCrew = wire::ToCrew;

class Restart : public testing::Test {
 protected:
  const TemporaryDirectory root_ = TemporaryDirectory::make().value();
  const fs::path folder_ = [this] {
    fs::create_directories(root_.path() / "study");
    return root_.path() / "study";
  }();
};

TEST_F(Restart, AddressAndKeysStandInTheFolderAndThePortIsKept) {
  std::string endpoint;
  {
    const auto session = Session::create(folder_);
    endpoint = session->server().endpoint();
    EXPECT_EQ(read_address(folder_)->endpoint, endpoint);
    EXPECT_TRUE(read_keys(folder_).ok());
  }
  const auto session = Session::resume(folder_);
  EXPECT_EQ(session->server().endpoint(), endpoint);
}

TEST_F(Restart, PortThatWasTakenMeanwhileIsReplacedAndTold) {
  std::string endpoint;
  {
    const auto session = Session::create(folder_);
    endpoint = session->server().endpoint();
  }
  const auto squatter = ServerSocket::bind(endpoint, read_keys(folder_).value());
  ASSERT_TRUE(squatter.ok());
  const auto session = Session::resume(folder_);
  EXPECT_NE(session->server().endpoint(), endpoint);
  EXPECT_EQ(read_address(folder_)->endpoint, session->server().endpoint());
}

TEST_F(Restart, CrewThatOutlivedItsCoordinatorRejoinsAndNothingCountsTwice) {
  auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  crew.report(attempt, 1, 1.0);
  crew.await(*session, ToCrew::kAnswerReport);
  session.reset();  // without a word to anybody

  session = Session::resume(folder_);
  crew.heartbeat();
  crew.await(*session, ToCrew::kIntroduce);
  crew.hello({attempt});
  crew.await(*session, ToCrew::kWelcome);
  crew.report(attempt, 1, 1.0);  // as if its answer had been lost
  EXPECT_TRUE(crew.await(*session, ToCrew::kAnswerReport).answer_report().go_on());
  crew.report(attempt, 2, 0.5);
  EXPECT_FALSE(crew.await(*session, ToCrew::kAnswerReport).answer_report().go_on());

  const AttemptId second = crew.await_start(*session);
  EXPECT_NE(second, attempt);
  crew.report(second, 1, 1.0);
  crew.report(second, 2, 1.0);
  crew.await(*session, ToCrew::kDismiss);
  std::map<std::pair<int, int>, int> counts;
  for (const Reported& report : session->stored<Reported>()) {
    ++counts[{report.trial, report.epoch}];
  }
  EXPECT_EQ(counts, (std::map<std::pair<int, int>, int>{{{0, 1}, 1}, {{0, 2}, 1}, {{1, 1}, 1}, {{1, 2}, 1}}));
  EXPECT_EQ(session->stored<AttemptStarted>().size(), 2U);
}

TEST_F(Restart, ReportThatOvertakesAnUnansweredOneLosesNothing) {
  auto session = Session::create(folder_, {.trials = 1});
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  session.reset();
  // The report of epoch 1 went down with the coordinator; that of epoch 2 waits in the crew's socket.
  crew.report(attempt, 2, 0.5);
  session = Session::resume(folder_, {.trials = 1});
  crew.await(*session, ToCrew::kIntroduce);
  crew.hello({attempt});
  crew.report(attempt, 1, 1.0);
  crew.report(attempt, 2, 0.5);
  crew.await(*session, ToCrew::kDismiss);
  EXPECT_EQ(session->stored<Reported>().size(), 2U);
}

TEST_F(Restart, NewCrewGetsNewWorkWhileAnOldOneMayStillComeBack) {
  auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  session.reset();
  session = Session::resume(folder_);
  ScriptedCrew fresh(folder_, "crew-0.1");
  fresh.hello();
  const auto start = fresh.await(*session, ToCrew::kStartAttempt).start_attempt();
  EXPECT_NE(start.attempt(), attempt);
  EXPECT_EQ(start.trial(), 1);
}

}  // namespace
}  // namespace regatta
