// What the management library tells, and that it may be absent.
#include "devices/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "devices/card_meter.h"
#include "devices/processors.h"

namespace regatta {
namespace {

using testing::HasSubstr;

TEST(Nvml, TellsMemoryAndUtilizationOfTheCardOnABus) {
  const auto nvml = Nvml::open(FAKE_NVML);
  ASSERT_TRUE(nvml.ok()) << nvml.error().message;
  const auto use = (*nvml)->use_of("0000:1b:00.0");
  ASSERT_TRUE(use.ok());
  EXPECT_EQ(use->total_bytes, 1000U);
  EXPECT_EQ(use->used_bytes(), 600U);
  EXPECT_EQ(use->utilization, 0.25);
  EXPECT_EQ((*nvml)->driver_version(), "580.65.06");
}

TEST(Nvml, APartOfACardHasMemoryButNoUtilization) {
  const auto nvml = Nvml::open(FAKE_NVML);
  const auto use = (*nvml)->use_of("0000:2c:00.0");
  ASSERT_TRUE(use.ok());
  EXPECT_EQ(use->free_bytes, 400U);
  EXPECT_FALSE(use->utilization);
}

TEST(Nvml, AnUnknownCardIsASentence) {
  const auto nvml = Nvml::open(FAKE_NVML);
  const auto use = (*nvml)->use_of("0000:ff:00.0");
  ASSERT_FALSE(use.ok());
  EXPECT_THAT(use.error().message, HasSubstr("0000:ff:00.0: Not Found"));
}

TEST(Nvml, WithoutTheDriversLibraryThereIsASentence) {
  const auto nvml = Nvml::open("libno-such-library.so.1");
  ASSERT_FALSE(nvml.ok());
  EXPECT_THAT(nvml.error().message, HasSubstr("comes with NVIDIA's driver"));
}

TEST(Nvml, AnotherLibraryIsNotTakenForIt) {
  const auto nvml = Nvml::open("libc.so.6");
  ASSERT_FALSE(nvml.ok());
  EXPECT_THAT(nvml.error().message, HasSubstr("lacks a function"));
}

TEST(CardMeter, SeesNothingWithoutTheDriversLibrary) {
  EXPECT_FALSE(CardMeter("0000:1b:00.0", "libno-such-library.so.1").read());
  EXPECT_FALSE(CardMeter("0000:ff:00.0", FAKE_NVML).read());
  EXPECT_EQ(CardMeter("0000:1b:00.0", FAKE_NVML).read()->used_bytes(), 600U);
}

TEST(Processors, AreCountedByTheThreadsThatShareACore) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  const auto add = [&](const std::string& name, const std::string& siblings) {
    const auto topology = folder->path() / name / "topology";
    ASSERT_TRUE(make_directories(topology).ok());
    ASSERT_TRUE(write_file_atomically(topology / "thread_siblings_list", siblings).ok());
  };
  add("cpu0", "0,2\n");
  add("cpu1", "1\n");
  add("cpu2", "0,2\n");
  add("cpufreq", "no processor\n");
  ASSERT_TRUE(make_directories(folder->path() / "cpu3").ok());  // switched off
  const Processors found = find_processors(folder->path());
  EXPECT_EQ(found.cores, 2);
  EXPECT_EQ(found.threads, 3);
}

}  // namespace
}  // namespace regatta
