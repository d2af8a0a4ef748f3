// When crews keep to cores of their own, and how they are told.
#include "cluster/binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/mpirun.h"

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Four cores of one hardware thread each in two packages.
HostCores four_cores() { return {.cores = *describe_cores("package:2 core:2 pu:1")}; }

std::string cpus_argument(const Resources& resources, std::vector<int> slots) {
  const CrewSpec crew{
      .name = "crew-0.1", .slots = std::move(slots), .folder = "/runs/a", .log = "/runs/a/logs/crew.log"};
  const auto command = crew_command(crew, resources, {.program = "regatta", .cores = 4}).command;
  const auto found = std::ranges::find(command, "--cpus");
  return found == command.end() ? "" : *(found + 1);
}

TEST(SettleCores, ACrewIsToldTheCpusOfEachOfItsRanks) {
  Resources resources{.crews = 2, .ranks = 2};
  settle_cores(resources, four_cores());
  EXPECT_THAT(resources.why_unbound, IsEmpty());
  EXPECT_EQ(cpus_argument(resources, {0}), "0/1");
  EXPECT_EQ(cpus_argument(resources, {1}), "2/3");
}

TEST(SettleCores, ACrewOfSeveralSlotsHasTheCpusOfAll) {
  Resources resources{.crews = 3};
  settle_cores(resources, four_cores());
  EXPECT_EQ(cpus_argument(resources, {0, 2}), "0/2-3");
}

TEST(SettleCores, NothingIsBoundWhereThatWouldHarm) {
  struct Case {
    std::string words;
    Resources resources;
    HostCores host = four_cores();
  };
  std::vector<Case> cases{{.words = "resources.bind is none", .resources = {.bind = false}},
                          {.words = "more threads than CPUs", .resources = {.crews = 3, .threads = 2}},
                          {.words = "does not tell which cores", .resources = {}, .host = {}},
                          {.words = "OMP_PLACES binds threads already", .resources = {}},
                          {.words = "may use 2 of 4 CPUs", .resources = {}}};
  cases[3].host.bound_by = "OMP_PLACES";
  cases[4].host.limit = 2;
  for (Case& unbound : cases) {
    settle_cores(unbound.resources, unbound.host);
    EXPECT_THAT(unbound.resources.why_unbound, HasSubstr(unbound.words));
    EXPECT_THAT(unbound.resources.cpus, IsEmpty()) << unbound.words;
    EXPECT_EQ(cpus_argument(unbound.resources, {0}), "") << unbound.words;
  }
}

TEST(SettleCores, ALimitThatAllowsEveryCpuIsNone) {
  Resources resources{.crews = 2};
  HostCores host = four_cores();
  host.limit = 4;
  settle_cores(resources, host);
  EXPECT_EQ(resources.cpus.size(), 2U);
}

TEST(SettleCores, CrewsComputeNearTheirCards) {
  Resources resources{.crews = 2};
  resources.cards = {{0}, {1}};
  HostCores host = four_cores();
  host.near_cards = {{2, 3}, {0, 1}};
  settle_cores(resources, host);
  EXPECT_EQ(cpus_argument(resources, {0}), "2-3");
  EXPECT_EQ(cpus_argument(resources, {1}), "0-1");
}

TEST(SettleCores, CardsWhosePlaceIsUnknownDoNotScatterACrew) {
  Resources resources{.crews = 2, .ranks = 2};
  resources.cards = {{0, 1}, {2, 3}};
  HostCores host = four_cores();
  host.near_cards = {{}, {}, {}, {}};
  settle_cores(resources, host);
  EXPECT_EQ(cpus_argument(resources, {0}), "0/1");
}

TEST(FindHostCores, SeesTheCpusOfThisProcess) {
  CpuSet cpus;
  for (const Core& core : find_host_cores({}).cores) {
    cpus = united(cpus, core.cpus);
  }
  EXPECT_EQ(cpus, allowed_cpus());
}

}  // namespace
}  // namespace regatta
