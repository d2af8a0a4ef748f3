// The coordinator and its crews talk over real sockets, with a real study and store behind them.
#include "coordinator/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <fstream>

#include "base/file.h"
#include "session.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::HasSubstr;
using ToCrew = wire::ToCrew;
using Finished = wire::AttemptFinished;

class ServerTest : public testing::Test {
 protected:
  const TemporaryDirectory root_ = TemporaryDirectory::make().value();
  const fs::path folder_ = [this] {
    fs::create_directories(root_.path() / "study" / "checkpoints");
    return root_.path() / "study";
  }();
};

TEST_F(ServerTest, CrewIsWelcomedWithTheExperimentAndGetsWork) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const auto welcome = crew.await(*session, ToCrew::kWelcome).welcome();
  EXPECT_EQ(welcome.experiment_file(), "exp.yaml");
  EXPECT_EQ(welcome.folder(), folder_.string());
  EXPECT_EQ(welcome.max_epochs(), 2);
  EXPECT_EQ(welcome.heartbeat_ms(), 2000U);
  EXPECT_GT(welcome.orphan_limit_ms(), 0U);
  const auto experiment = parse_experiment(welcome.experiment_yaml(), welcome.experiment_file());
  ASSERT_TRUE(experiment.ok()) << experiment.error().message;
  EXPECT_EQ(experiment->name, "scripted");
  const auto start = crew.await(*session, ToCrew::kStartAttempt).start_attempt();
  EXPECT_EQ(start.trial(), 0);
  EXPECT_EQ(start.until_epoch(), 2);
  EXPECT_EQ(start.point_size(), 1);
  EXPECT_EQ(session->server().crews_connected(), 1);
  EXPECT_FALSE(session->server().idle());
}

TEST_F(ServerTest, StudyRunsToItsEndAndDismissesItsCrews) {
  const auto session = Session::create(folder_, {.evaluate_best = true});
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  for (int trial = 0; trial < 2; ++trial) {
    const auto start = crew.await(*session, ToCrew::kStartAttempt).start_attempt();
    EXPECT_EQ(start.trial(), trial);
    crew.report(start.attempt(), 1, 1.0, "checkpoints/" + std::to_string(trial) + "-1");
    EXPECT_TRUE(crew.await(*session, ToCrew::kAnswerReport).answer_report().go_on());
    crew.report(start.attempt(), 2, 0.5 + trial, "checkpoints/" + std::to_string(trial) + "-2");
    EXPECT_FALSE(crew.await(*session, ToCrew::kAnswerReport).answer_report().go_on());
  }
  const auto evaluate = crew.await(*session, ToCrew::kEvaluateTrial).evaluate_trial();
  EXPECT_EQ(evaluate.trial(), 0);
  EXPECT_EQ(evaluate.checkpoint(), "checkpoints/0-2");
  EXPECT_FALSE(session->server().finished());
  wire::FromCrew done;
  done.mutable_evaluation_done()->set_trial(0);
  done.mutable_evaluation_done()->set_model("models/best.safetensors");
  crew.send(done);
  crew.await(*session, ToCrew::kDismiss);
  EXPECT_TRUE(session->server().finished());
  EXPECT_TRUE(session->server().idle());
  EXPECT_EQ(session->stored<Reported>().size(), 4U);
  EXPECT_EQ(session->stored<TestMeasured>().size(), 1U);
  ASSERT_EQ(session->stored<StudyEnded>().size(), 1U);
  EXPECT_EQ(session->stored<StudyEnded>()[0].reason, StudyEnded::Reason::finished);
}

TEST_F(ServerTest, ReportSentTwiceIsAnsweredTwiceAndStoredOnce) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  crew.report(attempt, 1, 1.0);
  crew.report(attempt, 1, 1.0);
  for (int i = 0; i < 2; ++i) {
    const auto answer = crew.await(*session, ToCrew::kAnswerReport).answer_report();
    EXPECT_EQ(answer.epoch(), 1);
    EXPECT_TRUE(answer.go_on());
  }
  EXPECT_EQ(session->stored<Reported>().size(), 1U);
}

TEST_F(ServerTest, StaleAttemptIsToldToEnd) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  ScriptedCrew other(folder_, "crew-1.0");
  other.hello();
  const AttemptId others = other.await_start(*session);
  other.report(attempt, 1, 0.1);  // another crew's
  EXPECT_EQ(other.await(*session, ToCrew::kEndAttempt).end_attempt().attempt(), attempt);
  other.report(others + 100, 1, 0.1);  // nobody's
  EXPECT_EQ(other.await(*session, ToCrew::kEndAttempt).end_attempt().attempt(), others + 100);
  EXPECT_TRUE(session->stored<Reported>().empty());
}

TEST_F(ServerTest, CrewOfAnotherVersionIsRefusedWithASentence) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  wire::FromCrew hello;
  hello.mutable_hello()->set_protocol_version(kProtocolVersion + 1);
  hello.mutable_hello()->set_program_version("9.9");
  crew.send(hello);
  EXPECT_THAT(crew.await(*session, ToCrew::kRefused).refused().reason(),
              HasSubstr("install the same regatta"));
  EXPECT_EQ(session->server().crews_connected(), 0);
  EXPECT_TRUE(session->server().idle());
}

TEST_F(ServerTest, CrewIsAskedToIntroduceItselfAndThenKnown) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.heartbeat();
  crew.await(*session, ToCrew::kIntroduce);
  EXPECT_TRUE(session->server().idle());
  crew.hello();
  crew.heartbeat();
  crew.await(*session, ToCrew::kAlive);
}

TEST_F(ServerTest, HelloSaidTwiceGetsWorkOnce) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  crew.hello();
  crew.await_start(*session);
  EXPECT_FALSE(crew.got(*session, ToCrew::kStartAttempt));
  EXPECT_EQ(session->stored<AttemptStarted>().size(), 1U);
}

TEST_F(ServerTest, CrewOnANewConnectionIsAskedToIntroduceItselfAndKeepsItsAttempt) {
  const auto session = Session::create(folder_);
  AttemptId attempt = 0;
  {
    ScriptedCrew crew(folder_, "crew-0.0");
    crew.hello();
    attempt = crew.await_start(*session);
  }
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.heartbeat();
  crew.await(*session, ToCrew::kIntroduce);
  crew.hello({attempt});
  crew.await(*session, ToCrew::kWelcome);
  crew.report(attempt, 1, 1.0);
  EXPECT_TRUE(crew.await(*session, ToCrew::kAnswerReport).answer_report().go_on());
  EXPECT_FALSE(crew.got(*session, ToCrew::kStartAttempt));
}

TEST_F(ServerTest, EndOfAnAttemptIsAnsweredOnceItIsStored) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  crew.finished(attempt, Finished::FAILED);
  crew.finished(attempt, Finished::FAILED);  // sent again before the answer came
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(crew.await(*session, ToCrew::kEndAttempt).end_attempt().attempt(), attempt);
  }
  ASSERT_EQ(session->stored<AttemptEnded>().size(), 1U);
  EXPECT_EQ(session->stored<AttemptEnded>()[0].outcome, Outcome::failed);
}

TEST_F(ServerTest, TextThatIsNotUtf8IsNoReasonToDropTheMessage) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  wire::FromCrew message;
  message.mutable_attempt_finished()->set_attempt(crew.await_start(*session));
  message.mutable_attempt_finished()->set_outcome(Finished::FAILED);
  message.mutable_attempt_finished()->set_message("caf\xe9 failed");
  crew.send(message);
  crew.await(*session, ToCrew::kEndAttempt);
  EXPECT_THAT(session->stored<AttemptEnded>()[0].message, HasSubstr("failed"));
}

TEST_F(ServerTest, LostCrewsTrialGoesOnFromItsCheckpointElsewhere) {
  const auto session = Session::create(folder_, {.trials = 1});
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  crew.report(attempt, 1, 1.0, "checkpoints/0-1");
  crew.await(*session, ToCrew::kAnswerReport);
  ScriptedCrew other(folder_, "crew-0.1");
  other.hello();
  other.await(*session, ToCrew::kWelcome);
  ASSERT_TRUE(session->server().crew_exited("crew-0.0", false, "killed by signal 9").ok());
  const auto start = other.await(*session, ToCrew::kStartAttempt).start_attempt();
  EXPECT_EQ(start.trial(), 0);
  EXPECT_NE(start.attempt(), attempt);
  EXPECT_EQ(start.checkpoint(), "checkpoints/0-1");
  ASSERT_EQ(session->stored<AttemptEnded>().size(), 1U);
  EXPECT_EQ(session->stored<AttemptEnded>()[0].outcome, Outcome::lost);
  EXPECT_THAT(session->stored<AttemptEnded>()[0].message, HasSubstr("signal 9"));
}

TEST_F(ServerTest, CrewsAreNotSilentBecauseTheCoordinatorStoodStill) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  session->stand_still(std::chrono::minutes(2));
  session->run_for(milliseconds(50));
  EXPECT_EQ(session->server().crews_connected(), 1);
  EXPECT_TRUE(session->stored<AttemptEnded>().empty());
  crew.report(attempt, 1, 1.0);
  EXPECT_TRUE(crew.await(*session, ToCrew::kAnswerReport).answer_report().go_on());
}

TEST_F(ServerTest, LastWordsOfACrewCountThoughItsProcessHasEnded) {
  const auto session = Session::create(folder_, {.trials = 1});
  AttemptId attempt = 0;
  {
    ScriptedCrew crew(folder_, "crew-0.0");
    crew.hello();
    attempt = crew.await_start(*session);
    crew.finished(attempt, Finished::INTERRUPTED);
  }
  ASSERT_TRUE(session->server().crew_exited("crew-0.0", false, "exited with code 0").ok());
  ASSERT_TRUE(session->run_until([&] { return !session->stored<AttemptEnded>().empty(); }));
  session->run_for(milliseconds(400));
  ASSERT_EQ(session->stored<AttemptEnded>().size(), 1U);
  EXPECT_EQ(session->stored<AttemptEnded>()[0].outcome, Outcome::interrupted);
}

TEST_F(ServerTest, StopSavesAndEnds) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  ASSERT_TRUE(session->server().request_stop().ok());
  EXPECT_EQ(crew.await(*session, ToCrew::kSuspendAttempt).suspend_attempt().attempt(), attempt);
  EXPECT_FALSE(session->server().idle());
  crew.finished(attempt, Finished::INTERRUPTED);
  ASSERT_TRUE(session->run_until([&] { return session->server().finished(); }));
  EXPECT_TRUE(session->server().idle());
  EXPECT_EQ(session->stored<StudyEnded>()[0].reason, StudyEnded::Reason::interrupted);
  crew.await(*session, ToCrew::kDismiss);
}

TEST_F(ServerTest, DismissedCrewThatStillTalksIsDismissedAgain) {
  const auto session = Session::create(folder_, {.trials = 1, .epochs = 1});
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  crew.report(crew.await_start(*session), 1, 1.0);
  crew.await(*session, ToCrew::kDismiss);
  crew.heartbeat();
  crew.await(*session, ToCrew::kDismiss);
  ScriptedCrew late(folder_, "crew-1.0");
  late.hello();
  late.await(*session, ToCrew::kDismiss);
  EXPECT_TRUE(session->server().finished());
}

TEST_F(ServerTest, GoodbyeEndsTheWaitForACrew) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  crew.await_start(*session);
  wire::FromCrew goodbye;
  goodbye.mutable_goodbye()->set_reason("told to leave");
  crew.send(goodbye);
  ASSERT_TRUE(session->run_until([&] { return session->server().crews_connected() == 0; }));
  EXPECT_TRUE(session->server().idle());
}

TEST_F(ServerTest, GoodbyeOfACrewThatStillRunsSomethingCostsNoAttempt) {
  const auto session = Session::create(folder_);
  ScriptedCrew guest(folder_, "guest-n7-1");
  guest.hello();
  const AttemptId attempt = guest.await_start(*session);
  wire::FromCrew goodbye;
  goodbye.mutable_goodbye()->set_reason("it was asked to");
  guest.send(goodbye);
  ASSERT_TRUE(session->run_until([&] { return !session->stored<AttemptEnded>().empty(); }));
  EXPECT_EQ(session->stored<AttemptEnded>()[0].attempt, attempt);
  EXPECT_EQ(session->stored<AttemptEnded>()[0].outcome, Outcome::preempted);
}

TEST_F(ServerTest, CrewsAreToldWhetherAStoppedStudyIsExpectedBack) {
  for (const bool comes_back : {true, false}) {
    const fs::path folder = root_.path() / (comes_back ? "taken-away" : "stopped");
    const auto session = Session::create(folder);
    ScriptedCrew crew(folder, "guest-n7-1");
    crew.hello();
    const AttemptId attempt = crew.await_start(*session);
    ASSERT_TRUE(session->server().request_stop({.why = "by the test", .comes_back = comes_back}).ok());
    crew.await(*session, ToCrew::kSuspendAttempt);
    crew.finished(attempt, Finished::INTERRUPTED);
    EXPECT_EQ(crew.await(*session, ToCrew::kDismiss).dismiss().comes_back(), comes_back);
    crew.heartbeat();
    EXPECT_EQ(crew.await(*session, ToCrew::kDismiss).dismiss().comes_back(), comes_back);
    ASSERT_EQ(session->stored<StudyEnded>().size(), 1U);
    EXPECT_EQ(session->stored<StudyEnded>()[0].message, "by the test");
  }
}

TEST_F(ServerTest, OfAStudyThatAnotherHostHasTakenOverAnswersNobody) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  fs::remove(folder_ / "study.lock");
  std::ofstream(folder_ / "study.lock") << "node17 4711 5 a-boot/pid:[1] 000000000001\n";
  crew.report(attempt, 1, 1.0);
  Status status;
  const SystemClock clock;
  const Deadline deadline(clock, kArrives);
  while (status.ok() && !deadline.passed()) {
    status = session->server().step(milliseconds(10));
  }
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("node17"));
  EXPECT_FALSE(crew.receive(milliseconds(200)));
  EXPECT_TRUE(session->stored<Reported>().empty());
  EXPECT_TRUE(session->store().lost_lock());
}

TEST_F(ServerTest, CheckpointsThatNobodyNeedsAreDeleted) {
  const auto session = Session::create(folder_, {.trials = 1, .epochs = 3});
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  for (int epoch = 1; epoch <= 3; ++epoch) {
    const std::string checkpoint = "checkpoints/0-" + std::to_string(epoch);
    std::ofstream(folder_ / checkpoint) << "weights";
    crew.report(attempt, epoch, 1.0 / epoch, checkpoint);
    crew.await(*session, ToCrew::kAnswerReport);
  }
  session->run_until([&] { return session->server().finished(); });
  EXPECT_FALSE(fs::exists(folder_ / "checkpoints/0-1"));
  EXPECT_TRUE(fs::exists(folder_ / "checkpoints/0-3"));
}

// While it lives, no file can grow: a full disk.
class FullDisk {
 public:
  FullDisk() {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(ServerTest, WhatCannotBeStoredIsNotAnswered) {
  const auto session = Session::create(folder_);
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  crew.report(attempt, 1, 1.0);
  Status status;
  {
    const FullDisk full;
    const SystemClock clock;
    const Deadline deadline(clock, kArrives);
    while (status.ok() && !deadline.passed()) {
      status = session->server().step(milliseconds(10));
    }
  }
  ASSERT_FALSE(status.ok());
  EXPECT_FALSE(session->server().step(milliseconds(0)).ok());
  EXPECT_FALSE(crew.receive(milliseconds(200)));
  EXPECT_TRUE(session->stored<Reported>().empty());
}

TEST_F(ServerTest, FloodOfReportsIsHandledInBatchesAndLosesNothing) {
  const auto session = Session::create(folder_, {.trials = 1, .epochs = 600});
  ScriptedCrew crew(folder_, "crew-0.0");
  crew.hello();
  const AttemptId attempt = crew.await_start(*session);
  for (int epoch = 1; epoch <= 600; ++epoch) {
    crew.report(attempt, epoch, 1.0 / epoch);
  }
  crew.await(*session, ToCrew::kDismiss);
  EXPECT_EQ(session->stored<Reported>().size(), 600U);
}

}  // namespace
}  // namespace regatta
