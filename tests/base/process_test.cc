// Child processes: exit, signals to the whole group, pipes.
#include "base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"

namespace regatta {
namespace {

using std::chrono::seconds;

// A zombie does not: who its parent is, and when that looks, is not ours to say.
bool runs(pid_t id) {
  const auto stat = read_file("/proc/" + std::to_string(id) + "/stat");
  return stat.ok() && stat->find(") Z ") == std::string::npos;
}

bool ends_soon(pid_t id) {
  for (int i = 0; i < 1000 && runs(id); ++i) {
    ::usleep(10'000);
  }
  return !runs(id);
}

TEST(Process, TellsHowItEnded) {
  auto child = Process::start({.command = {"sh", "-c", "exit 3"}});
  ASSERT_TRUE(child.ok());
  const auto status = child->wait_for(seconds(10));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->describe(), "exited with code 3");
}

TEST(Process, SignalReachesTheWholeGroup) {
  auto child = Process::start({.command = {"sh", "-c", "sleep 100 & wait"}});
  ASSERT_TRUE(child.ok());
  child->signal(SIGKILL);
  const auto status = child->wait_for(seconds(10));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->signal, SIGKILL);
}

TEST(Process, NamesAProgramThatIsNotThere) {
  const auto child = Process::start({.command = {"no-such-program-anywhere"}});
  ASSERT_FALSE(child.ok());
  EXPECT_NE(child.error().message.find("no-such-program-anywhere"), std::string::npos);
}

TEST(Process, PassesVariablesLinesAndOutput) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  auto child = Process::start({.command = {"sh", "-c", "read line; echo $GREETING $line; pwd"},
                               .variables = {{"GREETING", "hello"}},
                               .directory = folder->path(),
                               .output = folder->path() / "out.txt",
                               .pipe_stdin = true});
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(child->send_line("world").ok());
  ASSERT_TRUE(child->wait_for(seconds(10)));
  EXPECT_EQ(read_file(folder->path() / "out.txt").value(), "hello world\n" + folder->path().string() + "\n");
}

TEST(Process, LineForAChildThatDoesNotReadIsRefused) {
  auto child = Process::start({.command = {"sleep", "100"}, .pipe_stdin = true});
  ASSERT_TRUE(child.ok());
  const std::string line(999, 'x');
  Status sent;
  int lines = 0;
  for (; sent.ok() && lines < 10'000; ++lines) {
    sent = child->send_line(line);
  }
  ASSERT_FALSE(sent.ok());
  EXPECT_NE(sent.error().message.find("does not read"), std::string::npos) << sent.error().message;
  EXPECT_GT(lines, 1);
}

// A pipe takes a short line whole or not at all; half a line would spoil the next one.
TEST(Process, RefusedLineLeavesNoHalf) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  auto child = Process::start(
      {.command = {"sh", "-c",
                   "while ! test -e go; do sleep 0.01; done; awk '{print length($0)}' | sort | uniq"},
       .directory = folder->path(),
       .output = folder->path() / "out.txt",
       .pipe_stdin = true});
  ASSERT_TRUE(child.ok());
  while (child->send_line(std::string(2999, 'x')).ok()) {
  }
  ASSERT_TRUE(write_file_atomically(folder->path() / "go", "").ok());
  child->close_stdin();
  ASSERT_TRUE(child->wait_for(seconds(10)));
  EXPECT_EQ(read_file(folder->path() / "out.txt").value(), "2999\n");
}

TEST(Process, LeavesOutTheRemovedVariables) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  ::setenv("REGATTA_TEST_A", "a", 1);
  ::setenv("REGATTA_TEST_B", "b", 1);
  auto child = Process::start({.command = {"sh", "-c", "echo $REGATTA_TEST_A,$REGATTA_TEST_B,$HOME"},
                               .variables = {{"REGATTA_TEST_B", "new"}, {"HOME", "/home"}},
                               .removed_prefixes = {"REGATTA_TEST_"},
                               .output = folder->path() / "out.txt"});
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(child->wait_for(seconds(10)));
  EXPECT_EQ(read_file(folder->path() / "out.txt").value(), ",new,/home\n");
}

TEST(Process, WhatTheChildLeavesInItsGroupEndsWithIt) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  auto child = Process::start({.command = {"sh", "-c", "sleep 100 > /dev/null 2>&1 & echo $!"},
                               .output = folder->path() / "out.txt"});
  ASSERT_TRUE(child.ok());
  const auto status = child->wait_for(seconds(10));
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->success());
  const pid_t left = std::stoi(read_file(folder->path() / "out.txt").value());
  EXPECT_TRUE(ends_soon(left));
}

TEST(Process, OwnSessionEndsWithItsLeader) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  auto child = Process::start({.command = {"sh", "-c", "sleep 100 > /dev/null 2>&1 & echo $!"},
                               .output = folder->path() / "out.txt",
                               .own_session = true});
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(::getsid(child->id()), child->id());
  ASSERT_TRUE(child->wait_for(seconds(10)));
  const pid_t left = std::stoi(read_file(folder->path() / "out.txt").value());
  EXPECT_TRUE(ends_soon(left));
}

TEST(Process, DestructorLeavesNoChild) {
  pid_t id = -1;
  {
    auto child = Process::start({.command = {"sleep", "100"}});
    ASSERT_TRUE(child.ok());
    id = child->id();
  }
  EXPECT_NE(::kill(id, 0), 0);
}

}  // namespace
}  // namespace regatta
