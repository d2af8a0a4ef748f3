// What is asked of hosts, and what their answers mean. Shell scripts stand for the agent.
#include "cluster/ask_hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/host.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

HostReport answered(const std::string& host, std::vector<bool> reaches) {
  return {.host = {.name = host, .slots = 0, .place = {}},
          .answer = ProbeAnswer{.version = "1", .host = host, .reaches = std::move(reaches)},
          .seconds = 0.1,
          .trouble = {}};
}
const Expectation kExpected{.version = "1", .folder = "/runs", .addresses = {"10.0.0.1", "192.168.0.1"}};

TEST(AgentCommand, IsOneQuotedLineForAShell) {
  EXPECT_THAT(agent_command("my-ssh -p 22", "a", {"/opt/my regatta", "probe", "it's"}),
              ElementsAre("my-ssh", "-p", "22", "a", "'/opt/my regatta' 'probe' 'it'\\''s'"));
  EXPECT_THAT(agent_command("", "a", {"regatta"}), testing::Contains("BatchMode=yes"));
}

TEST(Judging, TakesTheFirstAddressThatAllHostsReach) {
  std::vector<HostReport> reports = {answered("a", {true, true}), answered("b", {false, true})};
  EXPECT_EQ(judge(reports, kExpected), "192.168.0.1");
  EXPECT_EQ(reports[0].trouble + reports[1].trouble, "");
  reports = {answered("a", {true, true}), answered("b", {true, true})};
  EXPECT_EQ(judge(reports, kExpected), "10.0.0.1");
}

TEST(Judging, TellsEachHostsTroubleInASentenceWithItsName) {
  std::vector<HostReport> reports(4, answered("a", {true, true}));
  reports[0].answer->version = "2";
  reports[1].answer->sees_file = false;
  reports[2].answer->no_interface = "host a has no network interface 'ib0'";
  reports[3].answer->reaches = {false, false};
  judge(reports, kExpected);
  EXPECT_THAT(reports[0].trouble, HasSubstr("host a has regatta 2, this one 1: install the same"));
  EXPECT_THAT(reports[1].trouble, HasSubstr("host a does not see /runs"));
  EXPECT_THAT(reports[2].trouble, HasSubstr("resources.interface: host a has no network interface"));
  EXPECT_THAT(reports[3].trouble, HasSubstr("host a does not reach the coordinator at 10.0.0.1"));
}

TEST(ProbeAnswers, AreFoundAmongWhatAgentsSay) {
  ProbeAnswer answer{.version = "1.2 (abc)", .host = "a", .cores = 16, .reaches = {true, false}};
  answer.no_interface = "none \"here\"";
  const auto found = find_answer("Welcome to a!\n" + encode(answer) + "\nbye\n");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cores, 16);
  EXPECT_EQ(found->version, "1.2 (abc)");
  EXPECT_EQ(found->no_interface, "none \"here\"");
  EXPECT_EQ(found->reaches, (std::vector<bool>{true, false}));
  EXPECT_FALSE(find_answer("Permission denied (publickey).\n"));
  EXPECT_FALSE(find_answer("{\"regatta_probe\": 3}"));
}

TEST(Probe, SeesTheFileAndReachesTheListener) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  const fs::path beacon = folder->path() / "beacon";
  ASSERT_TRUE(write_file_atomically(beacon, process_token()).ok());
  auto listener = ReachListener::open({"127.0.0.1"});
  ASSERT_TRUE(listener.ok()) << listener.error().message;
  const std::jthread serving([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      (*listener)->serve(std::chrono::milliseconds(5));
    }
  });
  const ProbeQuestion question{
      .file = beacon, .token = process_token(), .endpoints = (*listener)->endpoints(), .interface = "lo"};
  const ProbeAnswer answer = answer_probe(question, "1");
  EXPECT_TRUE(answer.sees_file);
  EXPECT_THAT(answer.reaches, ElementsAre(true));
  EXPECT_EQ(answer.no_interface, "");
  ProbeQuestion another = question;
  another.token = "of another coordinator";
  EXPECT_FALSE(answer_probe(another, "1").sees_file);
  EXPECT_THAT(answer_probe(another, "1").reaches, ElementsAre(false));
}

class Asking : public testing::Test {
 protected:
  // The agent is a script; hosts have names that no system knows.
  Result<std::vector<HostReport>> ask(const std::string& script, const std::vector<std::string>& hosts,
                                      Microseconds limit = std::chrono::seconds(30)) {
    const fs::path agent = folder_.path() / "agent";
    std::ofstream(agent) << "#!/bin/sh\n" << script << "\n";
    fs::permissions(agent, fs::perms::owner_all);
    std::vector<HostSlots> slots;
    for (const std::string& host : hosts) {
      slots.push_back({.name = host, .slots = 0, .place = {}});
    }
    const AskOptions options{
        .agent = agent.string(), .program = "/opt/regatta", .question = {.token = "t"}, .limit = limit};
    auto listener = ReachListener::open({});
    return ask_hosts(slots, options, **listener);
  }
  const TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(Asking, EachHostsFailureIsASentenceWithItsNameAndARemedy) {
  const auto reports =
      ask("case $1 in a.invalid) echo 'no route to host' >&2; exit 255;; b.invalid) exit 127;; esac\n"
          "echo '{\"regatta_probe\":\"1\",\"host\":\"c\",\"cores\":8,\"cards\":0,\"why_no_cards\":\"\","
          "\"sees_file\":true,\"reaches\":[],\"no_interface\":\"\"}'",
          {"a.invalid", "b.invalid", "c.invalid"});
  ASSERT_TRUE(reports.ok()) << reports.error().message;
  EXPECT_THAT((*reports)[0].trouble, HasSubstr("host a.invalid is not reached"));
  EXPECT_THAT((*reports)[0].trouble, HasSubstr("exited with code 255, saying no route to host"));
  EXPECT_THAT((*reports)[0].trouble, HasSubstr("resources.agent"));
  EXPECT_THAT((*reports)[1].trouble, HasSubstr("host b.invalid has no program /opt/regatta: install"));
  EXPECT_EQ((*reports)[2].trouble, "");
  EXPECT_EQ((*reports)[2].answer->cores, 8);
}

TEST_F(Asking, AHostThatAnswersNothingIsGivenUp) {
  const SystemClock clock;
  const Deadline soon(clock, std::chrono::seconds(20));
  const auto reports = ask("exec sleep 1000", {"a.invalid"}, std::chrono::milliseconds(300));
  ASSERT_TRUE(reports.ok());
  EXPECT_FALSE(soon.passed());
  EXPECT_THAT((*reports)[0].trouble, HasSubstr("host a.invalid has not answered"));
}

TEST_F(Asking, AnAgentThatIsNotThereIsToldOnce) {
  auto listener = ReachListener::open({});
  const auto reports =
      ask_hosts({{.name = "a.invalid", .slots = 0, .place = {}}},
                {.agent = "/no/such/agent", .program = "/opt/regatta", .question = {}}, **listener);
  ASSERT_FALSE(reports.ok());
  EXPECT_THAT(reports.error().message, HasSubstr("/no/such/agent"));
  EXPECT_THAT(reports.error().message, HasSubstr("resources.agent"));
}

}  // namespace
}  // namespace regatta
