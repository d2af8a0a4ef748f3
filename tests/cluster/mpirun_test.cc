// The command and the variables of a crew, without starting it.
#include "cluster/mpirun.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

namespace regatta {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;

const CrewSpec kCrew{.name = "crew-1.0", .slots = {1}, .folder = "/runs/a", .log = "/runs/a/logs/crew-1.log"};
const Surroundings kRoomy{.program = "/bin/regatta", .cores = 64};

TEST(CrewCommand, CrewOfOneNeedsNoMpirun) {
  const CrewCommand crew = crew_command(kCrew, {.threads = 3}, kRoomy);
  EXPECT_THAT(crew.command, ElementsAre("/bin/regatta", "worker", "--study", "/runs/a", "--crew", "crew-1.0",
                                        "--threads", "3", "--lanes", "1"));
  EXPECT_THAT(crew.variables, ElementsAre(Pair("OMP_NUM_THREADS", "3")));
}

TEST(CrewCommand, TracesGoToTheStudysFolder) {
  const CrewCommand crew = crew_command(kCrew, {.trace = true}, kRoomy);
  ASSERT_GE(crew.command.size(), 2U);
  EXPECT_EQ(crew.command[crew.command.size() - 2], "--trace");
  EXPECT_EQ(crew.command.back(), "/runs/a/traces");
}

TEST(CrewCommand, ACrewSeesItsOwnCardsOnly) {
  Resources resources{.crews = 2, .ranks_per_gpu = 2};
  resources.cards = {{0, 1}, {2}};
  const CrewCommand crew = crew_command(kCrew, resources, kRoomy);
  EXPECT_THAT(crew.variables, Contains(Pair("CUDA_VISIBLE_DEVICES", "2")));
  ASSERT_GE(crew.command.size(), 2U);
  EXPECT_EQ(crew.command[crew.command.size() - 2], "--ranks-per-gpu");
  EXPECT_EQ(crew.command.back(), "2");
  Surroundings hidden = kRoomy;
  hidden.visible_devices = "7,5,GPU-aa";
  EXPECT_THAT(crew_command(kCrew, resources, hidden).variables,
              Contains(Pair("CUDA_VISIBLE_DEVICES", "GPU-aa")));
}

TEST(CrewCommand, ACrewOfSeveralSlotsHasTheRanksAndCardsOfAll) {
  CrewSpec large = kCrew;
  large.slots = {0, 2, 3};
  Resources resources{.crews = 4, .ranks_per_gpu = 2};
  resources.cards = {{3}, {1}, {0}, {3}};
  const CrewCommand crew = crew_command(large, resources, kRoomy);
  ASSERT_GE(crew.command.size(), 3U);
  EXPECT_THAT(std::vector(crew.command.begin(), crew.command.begin() + 3), ElementsAre("mpirun", "-n", "3"));
  EXPECT_THAT(crew.variables, Contains(Pair("CUDA_VISIBLE_DEVICES", "3,0")));
  EXPECT_THAT(crew.command, Contains("0,2,3")) << "the worker tells its slots to a later coordinator";
}

TEST(CrewCommand, SeveralRanksGetAnMpirunOfTheirOwn) {
  const CrewCommand crew = crew_command(kCrew, {.ranks = 4, .lanes = 8}, kRoomy);
  EXPECT_THAT(crew.command, ElementsAre("mpirun", "-n", "4", "--oversubscribe", "--bind-to", "none",
                                        "/bin/regatta", "worker", "--study", "/runs/a", "--crew", "crew-1.0",
                                        "--threads", "1", "--lanes", "8"));
  EXPECT_THAT(crew.variables, Not(Contains(Key(HasSubstr("OMPI")))));
}

TEST(CrewCommand, InASlurmJobRanksStayOnTheHostsThatAreTheirs) {
  struct Case {
    bool in_slurm_job;
    bool elsewhere;
    const char* arguments;
  };
  for (const Case& c : {Case{false, false, ""}, Case{false, true, ""},
                        Case{true, false, "--bind-to none --mca plm isolated --mca ras ^slurm "},
                        Case{true, true, "--bind-to none --mca plm rsh --mca ras ^slurm "}}) {
    Surroundings surroundings = kRoomy;
    surroundings.in_slurm_job = c.in_slurm_job;
    Resources resources{.ranks = 2};
    resources.places = {{}, {{.host = "b", .ranks = 2, .here = !c.elsewhere}}};
    const std::string line =
        fmt::format("{}", fmt::join(crew_command(kCrew, resources, surroundings).command, " "));
    EXPECT_THAT(line, HasSubstr(c.arguments));
    EXPECT_EQ(line.find("^slurm") != std::string::npos, c.in_slurm_job) << line;
  }
}

TEST(CrewCommand, RanksOnOtherHostsAreStartedByMpirunWithTheirVariables) {
  Resources resources{.ranks = 3, .threads = 2};
  resources.agent = "my-agent -q";
  resources.interface = "10.0.0.0/24";
  resources.mpirun = {"--prefix", "/opt/mpi"};
  resources.places = {{}, {{.host = "a", .ranks = 2, .here = true}, {.host = "b", .ranks = 1}}};
  const CrewCommand crew = crew_command(kCrew, resources, kRoomy);
  const std::string line = fmt::format("{}", fmt::join(crew.command, " "));
  const std::string worker =
      "/bin/regatta worker --study /runs/a --crew crew-1.0 --threads 2 --lanes 1 --recorded";
  EXPECT_THAT(line, testing::StartsWith("mpirun --oversubscribe --bind-to none --prefix /opt/mpi "));
  EXPECT_THAT(line, HasSubstr("--mca plm_rsh_agent my-agent -q --mca btl_tcp_if_include 10.0.0.0/24 --mca "
                              "oob_tcp_if_include 10.0.0.0/24 "));
  EXPECT_THAT(line, testing::EndsWith("-n 2 --host a:2 -x OMP_NUM_THREADS=2 " + worker +
                                      " : -n 1 --host b:1 -x OMP_NUM_THREADS=2 " + worker));
}

TEST(CrewCommand, ACrewOfOneOnAnotherHostNeedsMpirunToo) {
  Resources resources;
  resources.places = {{{.host = "a", .ranks = 1, .here = true}}, {{.host = "b", .ranks = 1, .cards = {2}}}};
  const std::string line = fmt::format("{}", fmt::join(crew_command(kCrew, resources, kRoomy).command, " "));
  EXPECT_THAT(line, HasSubstr("-n 1 --host b:1 -x OMP_NUM_THREADS=1 -x CUDA_VISIBLE_DEVICES=2 /bin/regatta"));
  EXPECT_THAT(line, HasSubstr("--ranks-per-gpu 1"));
  CrewSpec here = kCrew;
  here.slots = {0};
  EXPECT_EQ(crew_command(here, resources, kRoomy).command.front(), "/bin/regatta");
}

TEST(CrewCommand, OversubscribedRanksYieldWhileTheyWait) {
  const CrewCommand crew = crew_command(kCrew, {.crews = 2, .ranks = 2}, {.program = "regatta", .cores = 3});
  EXPECT_THAT(crew.variables, Contains(Pair("OMPI_MCA_mpi_yield_when_idle", "1")));
  EXPECT_THAT(crew.variables, Contains(Pair("OMP_WAIT_POLICY", "passive")));
}

TEST(CrewCommand, RootAndForbiddenMemoryAccessAreToldToOpenMpi) {
  const CrewCommand crew = crew_command(
      kCrew, {.ranks = 2}, {.program = "regatta", .cores = 8, .root = true, .cross_memory_attach = false});
  EXPECT_THAT(crew.variables, Contains(Pair("OMPI_ALLOW_RUN_AS_ROOT", "1")));
  EXPECT_THAT(crew.variables, Contains(Pair("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")));
  EXPECT_THAT(crew.variables, Contains(Pair("OMPI_MCA_btl_vader_single_copy_mechanism", "none")));
}

// Sets a variable and puts the old value back.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      old_ = old;
    }
    ::setenv(name, value, 1);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;
  ~ScopedVariable() {
    if (old_) {
      ::setenv(name_, old_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(MpirunLauncher, RefusesMpirunInsideMpirun) {
  const ScopedVariable job("OMPI_COMM_WORLD_SIZE", "4");
  const auto launcher = make_mpirun_launcher({.ranks = 2});
  ASSERT_FALSE(launcher.ok());
  EXPECT_THAT(launcher.error().message, HasSubstr("within an MPI job"));
  EXPECT_TRUE(make_mpirun_launcher({.ranks = 1}).ok());
}

TEST(MpirunLauncher, MissingMpirunComesWithItsRemedy) {
  const ScopedVariable path("PATH", "/nonexistent");
  const auto launcher = make_mpirun_launcher({.ranks = 2});
  ASSERT_FALSE(launcher.ok());
  EXPECT_EQ(launcher.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(launcher.error().message, HasSubstr("openmpi-bin"));
  EXPECT_TRUE(make_mpirun_launcher({.ranks = 1}).ok());
}

}  // namespace
}  // namespace regatta
