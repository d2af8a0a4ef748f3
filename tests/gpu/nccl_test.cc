// Two NCCL ranks on one card: what they sum, and what they learn of a rank that is gone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "base/process.h"
#include "devices/devices.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

// Stands beside this test, wherever both were brought.
std::string program() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "nccl_program").string();
}

class NcclOnOneCard : public testing::Test {
 protected:
  void SetUp() override {
    const FoundDevices found = find_devices();
    if (found.cards.empty()) {
      GTEST_SKIP() << "needs a GPU: " << found.why_none;
    }
  }

  // The lines of both ranks. `ends_by_itself`: else what is left is killed once a line that begins with
  // `awaited` has come.
  std::vector<std::string> run(const std::string& name, const std::string& awaited = {}) {
    ProcessOptions options{.command = {"mpirun", "--oversubscribe", "--bind-to", "none", "--enable-recovery",
                                       "-n", "2", program(), name},
                           .variables = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                         {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                         {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"}},
                           .output = folder_.path() / name};
    auto mpirun = Process::start(options);
    CHECK(mpirun.ok(), mpirun.ok() ? "" : mpirun.error().message);
    const SystemClock clock;
    const Deadline deadline(clock, seconds(120));
    bool has_ended = false;
    while (!has_ended && !deadline.passed() && (awaited.empty() || !has_line(options.output, awaited))) {
      has_ended = mpirun->wait_for(std::chrono::milliseconds(100)).has_value();
    }
    EXPECT_TRUE(has_ended || !deadline.passed()) << "the ranks did not end";
    mpirun->kill();
    return lines_of(options.output);
  }

  static std::vector<std::string> lines_of(const std::filesystem::path& file) {
    const auto text = read_file(file);
    std::vector<std::string> lines;
    std::istringstream stream(text.ok() ? *text : "");
    for (std::string line; std::getline(stream, line);) {
      lines.push_back(line);
    }
    return lines;
  }

  static bool has_line(const std::filesystem::path& file, const std::string& start) {
    for (const std::string& line : lines_of(file)) {
      if (line.starts_with(start)) {
        return true;
      }
    }
    return false;
  }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(NcclOnOneCard, BothRanksGetTheSumAloneAndInAGraph) {
  const auto lines = run("sums");
  EXPECT_THAT(lines, Contains("right: rank 0"));
  EXPECT_THAT(lines, Contains("right: rank 1"));
}

TEST_F(NcclOnOneCard, ARankThatStaysAwayIsATimeoutThatNamesRankOperationSequenceAndBytes) {
  const auto lines = run("absent", "later:");
  EXPECT_THAT(
      lines,
      Contains(HasSubstr("survivor: rank 0 of 2: allreduce #2 of 400012 bytes did not end within 2 s")));
  EXPECT_THAT(lines,
              Contains(AllOf(HasSubstr("later: rank 0 of 2: allreduce #3"), HasSubstr("earlier error"))));
}

TEST_F(NcclOnOneCard, AKilledRankEndsTheSumOfTheOther) {
  EXPECT_THAT(run("killed", "later:"),
              Contains(HasSubstr("survivor: rank 0 of 2: allreduce #2 of 400012 bytes")));
}

TEST_F(NcclOnOneCard, AStepThatOneRankDoesNotLaunchIsATimeout) {
  EXPECT_THAT(
      run("step", "later:"),
      Contains(HasSubstr("survivor: rank 0 of 2: step of 2 sums #3 of 800024 bytes did not end within 2 s")));
}

TEST_F(NcclOnOneCard, OneCardIsRefusedUnlessRanksMayShare) {
  EXPECT_THAT(run("own-cards"), Contains(HasSubstr("refused: ranks 0 and 1 of the crew both have card")));
}

}  // namespace
}  // namespace regatta
