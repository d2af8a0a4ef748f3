// Ranks that die or stay away: the others must learn it in time, and mpirun must end.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "base/process.h"

namespace regatta {
namespace {

// The "survivor:" lines of mpi_program, sorted by rank.
std::vector<std::string> survivors_of(const std::string& name, int ranks) {
  const auto folder = TemporaryDirectory::make();
  CHECK(folder.ok());
  ProcessOptions options;
  options.output = folder.value().path() / "output";
  options.command = {"mpirun", "--oversubscribe",     "--bind-to", "none", "--enable-recovery",
                     "-n",     std::to_string(ranks), MPI_PROGRAM, name};
  // More ranks than cores, perhaps as root in a container.
  options.variables = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                       {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                       {"OMPI_MCA_mpi_yield_when_idle", "1"},
                       {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"}};
  auto mpirun = Process::start(options);
  CHECK(mpirun.ok(), mpirun.ok() ? "" : mpirun.error().message);
  EXPECT_TRUE(mpirun->wait_for(std::chrono::seconds(20)).has_value()) << "mpirun did not end";

  const auto output = read_file(options.output);
  CHECK(output.ok());
  std::vector<std::string> lines;
  std::istringstream stream(output.value());
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("survivor:")) {
      lines.push_back(line);
    }
  }
  std::ranges::sort(lines);
  EXPECT_EQ(lines.size(), static_cast<std::size_t>(ranks - 1)) << output.value();
  lines.resize(static_cast<std::size_t>(ranks - 1));
  return lines;
}

TEST(MpiFailure, AnAbsentRankIsATimeoutThatNamesRankOperationSequenceAndBytes) {
  for (const int ranks : {2, 4}) {
    const auto lines = survivors_of("absent", ranks);
    EXPECT_THAT(lines[0], testing::HasSubstr(fmt::format(
                              "rank 0 of {}: allreduce #2 of 1024 bytes did not end within 0.7 s", ranks)));
    EXPECT_THAT(lines.back(), testing::HasSubstr(fmt::format("rank {} of {}", ranks == 2 ? 0 : 3, ranks)));
  }
}

TEST(MpiFailure, AnAbsentHostIsATimeoutThatNamesItsRank) {
  const auto lines = survivors_of("absent-host", 3);
  EXPECT_THAT(lines[0],
              testing::HasSubstr("rank 0 of 3: allreduce #2 of 1024 bytes did not end within 0.7 s"));
  EXPECT_THAT(lines[0], testing::HasSubstr("from rank 1"));
  EXPECT_THAT(lines[1], testing::HasSubstr("rank 2 of 3"));
}

TEST(MpiFailure, AKilledRankDoesNotTakeTheOthersWithIt) {
  const auto lines = survivors_of("killed", 4);
  EXPECT_THAT(lines[0], testing::HasSubstr("rank 0 of 4: barrier #2 of 0 bytes did not end within 0.7 s"));
  EXPECT_THAT(lines[1], testing::HasSubstr("rank 2 of 4"));
  EXPECT_THAT(lines[2], testing::HasSubstr("rank 3 of 4"));
}

// The program checks that what is left of the crew ends within half a second.
TEST(MpiFailure, MemoryIsNotGivenBackTogetherWithALostRank) {
  const auto lines = survivors_of("unfreed", 3);
  EXPECT_THAT(lines[0],
              testing::HasSubstr("rank 0 of 3: free #2 of 4096 bytes did not end within 0.7 s: dead, "
                                 "stuck or without part in it: rank 1"));
  EXPECT_THAT(lines[1], testing::HasSubstr("rank 2 of 3"));
}

TEST(MpiFailure, ARankThatGivesUpAloneEndsAtOnce) {
  EXPECT_EQ(survivors_of("abandoned", 2)[0], "survivor: rank 0");
}

}  // namespace
}  // namespace regatta
