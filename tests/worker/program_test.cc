// Real programs as trials: on one rank in this process, and on two ranks under mpirun.
#include "worker/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <thread>

#include "base/file.h"
#include "mpi_run.h"
#include "scripted_control.h"

namespace regatta {
namespace {

using Action = Decision::Action;
using How = AttemptEnd::How;
using std::chrono::milliseconds;
using testing::HasSubstr;

// Reports epoch after epoch with the rank in its log, leaves when told, and keeps its state in a file.
constexpr const char* kTrainer = R"(
import json, os, sys
folder = os.environ["REGATTA_CHECKPOINT_DIR"]
rank = os.environ["RANK"]
epoch = int(os.environ["REGATTA_RESUME_EPOCH"])
print("begin at", epoch, "of", os.environ["REGATTA_UNTIL_EPOCH"], "rank", rank, file=sys.stderr)
while epoch < 9:
    epoch += 1
    open(f"{folder}/state-{rank}", "w").write(str(epoch))
    if rank == "0":
        print("for people")
        print(json.dumps({"epoch": epoch, "loss": 1 / epoch}))
    decision = json.loads(sys.stdin.readline())["decision"]
    open(f"{folder}/decisions-{rank}", "a").write(f"{epoch} {decision}\n")
    if decision != "continue":
        sys.exit(0)
)";

// Of a process that this one may not be the parent of; a zombie has ended.
bool ends_soon(const std::string& id) {
  const auto runs = [&] {
    const auto stat = read_file("/proc/" + id + "/stat");
    return stat.ok() && stat->find(") Z ") == std::string::npos;
  };
  for (int i = 0; i < 1000 && runs(); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  return !runs();
}

class ProgramTest : public testing::Test {
 protected:
  // What the program is: a Python script.
  void script(const std::string& text) {
    EXPECT_TRUE(write_file_atomically(folder_.path() / "train.py", text).ok());
    EXPECT_TRUE(write_file_atomically(experiment_file_,
                                      "name: program\nseed: 1\nobjective: {minimize: loss}\n"
                                      "command: [/usr/bin/python3, train.py]\n")
                    .ok());
  }

  AttemptEnd run(ScriptedControl& control, const AttemptOrder& order) {
    const auto experiment = load_experiment(experiment_file_, {});
    EXPECT_TRUE(experiment.ok()) << (experiment.ok() ? "" : experiment.error().message);
    const ProgramOptions options{
        .folder = folder_.path(), .directory = folder_.path(), .meter = meter_.get(), .grace = grace_};
    const auto communicator = make_single_communicator();
    const auto end = run_program(*communicator, *experiment, clock_, options, order, &control);
    EXPECT_TRUE(end.ok()) << (end.ok() ? "" : end.error().message);
    return end.ok() ? *end : AttemptEnd{};
  }

  std::string text_of(const std::string& file) { return text_of_file(folder_.path() / file); }

  const SystemClock clock_;
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  std::filesystem::path experiment_file_ = folder_.path() / "program.yaml";
  Microseconds grace_ = std::chrono::seconds(10);
  std::unique_ptr<CardMeter> meter_;
  const AttemptOrder order_{.attempt = 7, .trial = 12, .until_epoch = 2};
};

TEST_F(ProgramTest, CompletesByItself) {
  script(kTrainer);
  ScriptedControl control({.until_epoch = 100});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::complete);
  ASSERT_EQ(control.reports.size(), 9U);
  EXPECT_EQ(control.reports[3].epoch, 4);
  EXPECT_EQ(control.reports[3].metrics, (MetricValues{{"loss", 0.25}}));
  EXPECT_EQ(control.reports[3].checkpoint, "checkpoints/trial-00012/attempt-0007-epoch-004.program");
  const std::string log = text_of("logs/trial-00012-rank-0.log");
  EXPECT_THAT(log, HasSubstr("begin at 0 of 2 rank 0"));
  EXPECT_THAT(text_of("logs/trial-00012-rank-0.log.out"), HasSubstr("for people"));
}

TEST_F(ProgramTest, ReportsOnACardTellItsMemoryAndUtilization) {
  script(kTrainer);
  ScriptedControl on_cpus({.until_epoch = 2}, {{2, {.action = Action::end}}});
  run(on_cpus, order_);
  ASSERT_EQ(on_cpus.reports.size(), 2U);
  EXPECT_FALSE(on_cpus.reports[1].card);
  meter_ = std::make_unique<CardMeter>("0000:1b:00.0", FAKE_NVML);
  AttemptOrder again = order_;
  again.attempt = 8;
  ScriptedControl on_card({.until_epoch = 2}, {{2, {.action = Action::end}}});
  run(on_card, again);
  ASSERT_EQ(on_card.reports.size(), 2U);
  ASSERT_TRUE(on_card.reports[1].card);
  EXPECT_EQ(on_card.reports[1].card->used_bytes(), 600U);
  EXPECT_EQ(on_card.reports[1].card->utilization, 0.25);
}

TEST_F(ProgramTest, StopsAndLaterGoesOnFromTheEpochThatCounts) {
  script(kTrainer);
  ScriptedControl first({.until_epoch = 2}, {{2, {.action = Action::end}}});
  EXPECT_EQ(run(first, order_).how, How::ordered);
  EXPECT_EQ(text_of("checkpoints/trial-00012/program/decisions-0"), "1 continue\n2 stop\n");
  AttemptOrder order = order_;
  order.attempt = 8;
  order.until_epoch = 4;
  order.checkpoint = first.reports.back().checkpoint;
  ScriptedControl second({.until_epoch = 4}, {{4, {.action = Action::suspend}}});
  const AttemptEnd end = run(second, order);
  EXPECT_EQ(end.how, How::interrupted);
  EXPECT_EQ(end.checkpoint, "checkpoints/trial-00012/attempt-0008-epoch-004.program");
  ASSERT_EQ(second.reports.size(), 2U);
  EXPECT_EQ(second.reports[0].epoch, 3);
  EXPECT_EQ(text_of("checkpoints/trial-00012/program/decisions-0"),
            "1 continue\n2 stop\n3 continue\n4 pause\n");
}

TEST_F(ProgramTest, WaitsForTheAnswerAtTheLastGrantedEpoch) {
  script(kTrainer);
  ScriptedControl control({.until_epoch = 2}, {{4, {.action = Action::end}}});
  int asked_in_vain = 0;
  control.on_decide = [&](int) {
    if (control.reports.size() == 2 && ++asked_in_vain == 10) {
      control.grant(4);
    }
  };
  EXPECT_EQ(run(control, order_).how, How::ordered);
  EXPECT_EQ(control.reports.size(), 4U);
  EXPECT_GE(asked_in_vain, 10);
}

TEST_F(ProgramTest, FailureTellsTheLastLinesOfItsOutput) {
  script("import sys\nfor i in range(100): print('line', i)\nsys.exit('no such column: price')\n");
  ScriptedControl control({.until_epoch = 2});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::failed);
  EXPECT_THAT(end.message, HasSubstr("exited with code 1"));
  EXPECT_THAT(end.message, HasSubstr("no such column: price"));
}

// Out of memory, preempted, or by hand: another try may get further.
TEST_F(ProgramTest, KilledProgramHasLostTheAttempt) {
  script("import os\nprint('short of memory')\nos.kill(os.getpid(), 9)\n");
  ScriptedControl control({.until_epoch = 2});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::lost);
  EXPECT_THAT(end.message, HasSubstr("the program was killed by signal 9"));
  EXPECT_THAT(end.message, HasSubstr("short of memory"));
}

// env(1) would take it for a variable.
TEST_F(ProgramTest, NameOfAProgramMayHoldAnEqualsSign) {
  script("");
  ASSERT_TRUE(
      write_file_atomically(folder_.path() / "lr=1", "#!/bin/sh\necho '{\"epoch\": 1, \"loss\": 1}'\n").ok());
  std::filesystem::permissions(folder_.path() / "lr=1", std::filesystem::perms::owner_all);
  ASSERT_TRUE(
      write_file_atomically(experiment_file_, "objective: {minimize: loss}\ncommand: [./lr=1]\n").ok());
  ScriptedControl control({.until_epoch = 2});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::complete) << end.message;
}

TEST_F(ProgramTest, MissingProgramIsNamed) {
  script("");
  ASSERT_TRUE(write_file_atomically(experiment_file_,
                                    "objective: {minimize: loss}\ncommand: [no-such-program-anywhere]\n")
                  .ok());
  ScriptedControl control({.until_epoch = 2});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::failed);
  EXPECT_THAT(end.message, HasSubstr("no-such-program-anywhere"));
}

TEST_F(ProgramTest, ReportWithoutTheObjectiveIsAFailureWithAHint) {
  script("print('{\"epoch\": 1, \"los\": 0.5}')\nimport sys\nsys.stdin.readline()\n");
  ScriptedControl control({.until_epoch = 2});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::failed);
  EXPECT_THAT(end.message, HasSubstr("has no number 'loss', the objective (did you mean 'los'?)"));
}

TEST_F(ProgramTest, NoReportAtAllIsAFailure) {
  script("print('hello')\n");
  ScriptedControl control({.until_epoch = 2});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::failed);
  EXPECT_THAT(end.message, HasSubstr("without a report"));
}

TEST_F(ProgramTest, ProgramThatExitsWhereItIsGrantedIsStartedAgain) {
  script(R"(
import json, os, sys
for epoch in range(int(os.environ["REGATTA_RESUME_EPOCH"]) + 1, int(os.environ["REGATTA_UNTIL_EPOCH"]) + 1):
    print(json.dumps({"epoch": epoch, "loss": 1 / epoch}))
)");
  ScriptedControl control({.until_epoch = 2}, {{2, {.until_epoch = 5}}, {5, {.action = Action::end}}});
  const AttemptEnd end = run(control, order_);
  EXPECT_EQ(end.how, How::ordered);
  ASSERT_EQ(control.reports.size(), 5U);
  EXPECT_EQ(control.reports.back().epoch, 5);
}

// The answer is in its pipe by then: that it was sent does not mean that anybody reads it.
TEST_F(ProgramTest, ProgramThatLingersAfterItsLastReportIsStartedAgain) {
  script(R"(
import json, os, time
for epoch in range(int(os.environ["REGATTA_RESUME_EPOCH"]) + 1, int(os.environ["REGATTA_UNTIL_EPOCH"]) + 1):
    print(json.dumps({"epoch": epoch, "loss": 1 / epoch}))
print("bye")
time.sleep(0.3)
)");
  ScriptedControl control({.until_epoch = 2}, {{2, {.until_epoch = 5}}, {5, {.action = Action::end}}});
  EXPECT_EQ(run(control, order_).how, How::ordered);
  ASSERT_EQ(control.reports.size(), 5U);
  EXPECT_EQ(control.reports.back().epoch, 5);
}

TEST_F(ProgramTest, ProgramThatHasNothingToAddWhenStartedAgainIsComplete) {
  script(R"(
import os, time
open("begun", "a").write(os.environ["REGATTA_UNTIL_EPOCH"] + " ")
for epoch in range(int(os.environ["REGATTA_RESUME_EPOCH"]) + 1, 3):
    print('{"epoch": %d, "loss": 1}' % epoch)
time.sleep(0.3)
)");
  ScriptedControl control({.until_epoch = 2}, {{2, {.until_epoch = 5}}});
  EXPECT_EQ(run(control, order_).how, How::complete);
  EXPECT_EQ(control.reports.size(), 2U);
  EXPECT_EQ(text_of("begun"), "2 5 ");
}

TEST_F(ProgramTest, ProgramThatAlwaysBeginsAnewIsHeardOnceForEachEpoch) {
  script(R"(
import json, os, sys
for epoch in range(1, int(os.environ["REGATTA_UNTIL_EPOCH"]) + 1):
    print(json.dumps({"epoch": epoch, "loss": 1 / epoch}))
    sys.stdin.readline()
)");
  AttemptOrder order = order_;
  ScriptedControl first({.until_epoch = 2}, {{2, {.action = Action::end}}});
  EXPECT_EQ(run(first, order).how, How::ordered);
  order.attempt = 8;
  order.until_epoch = 3;
  order.checkpoint = first.reports.back().checkpoint;
  ScriptedControl second({.until_epoch = 3}, {{3, {.action = Action::end}}});
  EXPECT_EQ(run(second, order).how, How::ordered);
  ASSERT_EQ(second.reports.size(), 1U);
  EXPECT_EQ(second.reports[0].epoch, 3);
}

TEST_F(ProgramTest, ProgramThatIgnoresStopIsKilledAfterItsGrace) {
  grace_ = milliseconds(300);
  script(R"(
import signal, time
signal.signal(signal.SIGTERM, lambda *_: open("terminated", "w").close() or exit(0))
print('{"epoch": 1, "loss": 0.5}')
time.sleep(1000)
)");
  ScriptedControl control({.until_epoch = 1}, {{1, {.action = Action::end}}});
  EXPECT_EQ(run(control, order_).how, How::ordered);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "terminated"));
}

TEST_F(ProgramTest, ProgramThatReadsNoAnswersIsNotWaitedFor) {
  script(R"(
import fcntl, os, time
F_SETPIPE_SZ = 1031
fcntl.fcntl(0, F_SETPIPE_SZ, 4096)
for epoch in range(1, 301):
    print('{"epoch": %d, "loss": 1}' % epoch)
while not os.path.exists("heard"):
    time.sleep(0.01)
)");
  ScriptedControl control({.until_epoch = 1000});
  control.on_report = [&](const EpochReport& report) {
    if (report.epoch == 300) {
      EXPECT_TRUE(write_file_atomically(folder_.path() / "heard", "").ok());
    }
  };
  EXPECT_EQ(run(control, order_).how, How::complete);
  EXPECT_EQ(control.reports.size(), 300U);
}

TEST_F(ProgramTest, ProgramThatPrintsWithoutPauseCanBeEnded) {
  script("import os\nos.execvp('yes', ['yes'])\n");
  ScriptedControl control({.until_epoch = 1});
  control.on_decide = [&](int asked) {
    if (asked == 5) {
      control.set(Action::end);
    }
  };
  EXPECT_EQ(run(control, order_).how, How::ordered);
}

TEST_F(ProgramTest, ProgramThatPrintsWithoutPauseAfterStopIsTerminated) {
  grace_ = milliseconds(300);
  script("import os\nprint('{\"epoch\": 1, \"loss\": 1}')\nos.execvp('yes', ['yes'])\n");
  ScriptedControl control({.until_epoch = 1}, {{1, {.action = Action::end}}});
  EXPECT_EQ(run(control, order_).how, How::ordered);
}

TEST_F(ProgramTest, ChildrenOfAProgramEndWithIt) {
  script(R"(
import subprocess
child = subprocess.Popen(["sleep", "1000"])
open("child", "w").write(str(child.pid))
print('{"epoch": 1, "loss": 1}')
)");
  ScriptedControl control({.until_epoch = 5});
  EXPECT_EQ(run(control, order_).how, How::complete);
  EXPECT_TRUE(ends_soon(text_of("child")));
}

TEST_F(ProgramTest, DaemonThatKeepsPrintingDoesNotHoldUpTheEnd) {
  script(R"(
import subprocess, sys
print('{"epoch": 1, "loss": 1}')
sys.stdin.readline()
subprocess.Popen(["timeout", "60", "yes"], start_new_session=True)
print("last words")
)");
  ScriptedControl control({.until_epoch = 5});
  const Microseconds begin = clock_.monotonic();
  EXPECT_EQ(run(control, order_).how, How::complete);
  EXPECT_LT(clock_.monotonic() - begin, std::chrono::seconds(30));
  EXPECT_THAT(text_of("logs/trial-00012-rank-0.log.out"), HasSubstr("last words"));
}

TEST_F(ProgramTest, KilledCrewLeavesNoProgram) {
  script(R"(
import os, time
open("draft", "w").write(str(os.getpid()))
os.rename("draft", "program")
time.sleep(1000)
)");
  auto crew =
      Process::start({.command = {CREW_PROGRAM, experiment_file_.string(), folder_.path(), "1", "3", "-"},
                      .output = folder_.path() / "crew-output.txt",
                      .own_session = true});
  ASSERT_TRUE(crew.ok());
  for (int i = 0; i < 3000 && !std::filesystem::exists(folder_.path() / "program"); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  ASSERT_TRUE(std::filesystem::exists(folder_.path() / "program")) << text_of("crew-output.txt");
  ::kill(crew->id(), SIGKILL);
  ASSERT_TRUE(crew->wait_for(std::chrono::seconds(10)));
  EXPECT_TRUE(ends_soon(text_of("program")));
}

TEST_F(ProgramTest, EndBetweenReportsTerminatesIt) {
  script("import time\ntime.sleep(1000)\n");
  ScriptedControl control({.until_epoch = 1});
  control.on_decide = [&](int asked) {
    if (asked == 5) {
      control.set(Action::end);
    }
  };
  EXPECT_EQ(run(control, order_).how, How::ordered);
}

TEST_F(ProgramTest, LossThatIsNoNumberIsReportedAsSuch) {
  script("import json\nprint(json.dumps({'epoch': 1, 'loss': float('nan')}))\ninput()\n");
  ScriptedControl control({.until_epoch = 1}, {{1, {.action = Action::end}}});
  EXPECT_EQ(run(control, order_).how, How::ordered);
  ASSERT_EQ(control.reports.size(), 1U);
  EXPECT_TRUE(std::isnan(control.reports[0].metrics[0].second));
}

TEST_F(ProgramTest, StopReachesBothRanksAtTheSameEpoch) {
  script(kTrainer);
  const CrewRun run = run_crew_program(experiment_file_, folder_.path(),
                                       {.ranks = 2, .until_epoch = 3, .answers = {"report:3=end"}});
  EXPECT_EQ(run.end["end"], "ordered") << run.output;
  EXPECT_EQ(run.reports.size(), 3U);
  for (const char* rank : {"0", "1"}) {
    EXPECT_EQ(text_of(std::string("checkpoints/trial-00012/program/decisions-") + rank),
              "1 continue\n2 continue\n3 stop\n");
  }
}

TEST_F(ProgramTest, FailureOfTheSecondRankEndsTheFirst) {
  script(R"(
import os, sys
if os.environ["RANK"] == "1":
    sys.exit("rank 1 has no memory")
print('{"epoch": 1, "loss": 1}')
sys.stdin.readline()
import time
time.sleep(1000)
)");
  const CrewRun run = run_crew_program(experiment_file_, folder_.path(), {.ranks = 2, .until_epoch = 3});
  EXPECT_EQ(run.end["end"], "failed") << run.output;
  EXPECT_THAT(run.end["message"].get<std::string>(), HasSubstr("rank 1: the program exited with code 1"));
  EXPECT_THAT(run.end["message"].get<std::string>(), HasSubstr("rank 1 has no memory"));
}

// The other rank loses its peer and fails; that is no fault of the program.
TEST_F(ProgramTest, KilledProgramOfTheSecondRankHasLostTheAttemptOfBoth) {
  script(R"(
import fcntl, os, time
file = open("lock", "a")
if os.environ["RANK"] == "1":
    fcntl.flock(file, fcntl.LOCK_EX)
    open("locked", "w").close()
    time.sleep(0.3)
    os.kill(os.getpid(), 9)
while not os.path.exists("locked"):
    time.sleep(0.01)
fcntl.flock(file, fcntl.LOCK_EX)
raise SystemExit("peer is gone")
)");
  const CrewRun run = run_crew_program(experiment_file_, folder_.path(), {.ranks = 2, .until_epoch = 3});
  EXPECT_EQ(run.end["end"], "lost") << run.output;
  EXPECT_THAT(run.end["message"].get<std::string>(), HasSubstr("rank 1: the program was killed by signal 9"));
}

TEST_F(ProgramTest, ProgramsSeeTheirCrewAndNotOurMpi) {
  script(R"(
import os, json, sys
names = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "REGATTA_TRIAL"]
seen = [os.environ[name] for name in names]
seen += [name for name in os.environ if name.startswith(("OMPI_", "PMIX_"))]
open("seen-" + os.environ["RANK"], "w").write(" ".join(seen))
assert int(os.environ["MASTER_PORT"]) > 0
if os.environ["RANK"] == "0":
    print('{"epoch": 1, "loss": 1}')
sys.stdin.readline()
)");
  const CrewRun run = run_crew_program(experiment_file_, folder_.path(), {.ranks = 2, .until_epoch = 3});
  EXPECT_EQ(run.end["end"], "complete") << run.output;
  EXPECT_EQ(text_of("seen-0"), "0 2 0 2 127.0.0.1 12");
  EXPECT_EQ(text_of("seen-1"), "1 2 1 2 127.0.0.1 12");
}

}  // namespace
}  // namespace regatta
