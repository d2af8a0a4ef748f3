// Hosts as the user lists them.
#include "cluster/hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace regatta {
namespace {

using testing::HasSubstr;

Result<std::vector<HostSlots>> read(const std::string& yaml, const std::string& file = "exp.yaml") {
  const auto node = parse_yaml(yaml, file);
  EXPECT_TRUE(node.ok());
  Section section(*node, "resources");
  std::vector<HostSlots> hosts = read_hosts(section);
  RETURN_IF_ERROR(section.finish());
  return hosts;
}

TEST(Hosts, AreNamesWithSlotsOrWithout) {
  const auto hosts = read("hosts: [a:4, node-2.example.org, 10.77.0.1:2]\n");
  ASSERT_TRUE(hosts.ok()) << hosts.error().message;
  EXPECT_EQ(describe(*hosts), "a:4, node-2.example.org, 10.77.0.1:2");
  EXPECT_TRUE(read("{}")->empty());
}

TEST(Hosts, MistakesAreToldWithTheirPlaceAndTheRemedy) {
  const std::vector<std::array<std::string, 3>> cases = {
      {"hosts: a:4\n", "exp.yaml:1:8", "expected a list of hosts: write NAME or NAME:SLOTS"},
      {"hosts: []\n", "exp.yaml:1:8", "expected a list"},
      {"hosts: [a:4, b:0]\n", "exp.yaml:1:14", "'0' is no number of slots"},
      {"hosts: [a:4, 'b c']\n", "exp.yaml:1:14", "'b c' names no host"},
      {"hosts: [--host]\n", "exp.yaml:1:9", "names no host"},
      {"hosts: [a:4, a:2]\n", "exp.yaml:1:14", "'a' is named twice"},
      {"hosts: [a]\nhostfile: f\n", "exp.yaml:2:11", "leave one of the two out"},
      {"hostfile: /nonexistent/hosts\n", "exp.yaml:1:11", "/nonexistent/hosts"}};
  for (const auto& [yaml, place, words] : cases) {
    const auto hosts = read(yaml);
    ASSERT_FALSE(hosts.ok()) << yaml;
    EXPECT_THAT(hosts.error().message, HasSubstr(place));
    EXPECT_THAT(hosts.error().message, HasSubstr(words));
  }
}

TEST(Hostfile, IsReadAsOpenMpiReadsIt) {
  const auto hosts = parse_hostfile(
      "# the cluster\n"
      "a slots=4\n"
      "\n"
      "b\tslots=2 max_slots=8   # shared\r\n"
      "c\n"
      "d\nd\nd\n"
      "a slots=2",
      "hosts");
  ASSERT_TRUE(hosts.ok()) << hosts.error().message;
  EXPECT_EQ(describe(*hosts), "a:6, b:2, c, d:3");
}

TEST(Hostfile, MistakesAreToldWithTheirLine) {
  const auto unknown = parse_hostfile("a slots=4\nb slot=4\n", "hosts");
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.error().message, HasSubstr("hosts:2:1: 'slot=4' after host 'b'"));
  EXPECT_FALSE(parse_hostfile("a slots=none\n", "hosts").ok());
  EXPECT_FALSE(parse_hostfile("a slots=0\n", "hosts").ok());
  const auto empty = parse_hostfile("# nobody\n", "hosts");
  ASSERT_FALSE(empty.ok());
  EXPECT_THAT(empty.error().message, HasSubstr("names no host"));
}

TEST(Hostfile, LiesWhereTheExperimentFileLies) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(write_file_atomically(folder->path() / "nodes", "a slots=3\n").ok());
  const auto hosts = read("hostfile: nodes\n", (folder->path() / "exp.yaml").string());
  ASSERT_TRUE(hosts.ok()) << hosts.error().message;
  EXPECT_EQ(describe(*hosts), "a:3");
}

}  // namespace
}  // namespace regatta
