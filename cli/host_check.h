// Before anything is made or started: whether crews can run on the hosts that the study names.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/study_plan.h"
#include "cluster/ask_hosts.h"
#include "cluster/settle_hosts.h"

namespace regatta {

struct HostCheck {
  std::vector<HostReport> reports;  // by host, in the file's order
  std::string address;              // of this host, by which the others reach it; empty: there are no others
};

// A file in the study's folder, or above it, that is there while hosts are asked whether they see it.
class Beacon {
 public:
  static Result<std::unique_ptr<Beacon>> light(const std::filesystem::path& folder);
  ~Beacon();
  Beacon(const Beacon&) = delete;
  Beacon& operator=(const Beacon&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit Beacon(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

// Asks all hosts at once, within about ten seconds. `folder` is the study's, or where it will be made. Fails
// where no host can be asked: the interface is not there, the agent cannot be started.
Result<HostCheck> check_hosts(const StudyPlan& plan, const std::filesystem::path& folder);

// What they have told, where all have answered. `why_none`: why they have no cards, if none is to be used.
std::vector<HostFacts> facts_of(const std::vector<HostReport>& reports, const std::string& why_none);
// A sentence for each host where no crew can run.
Status refuse_troubles(const std::vector<HostReport>& reports);

// What the resources come to: on this host (see settle_devices), or on the hosts that the study names, after
// they were checked. Fails with a sentence for each host where no crew can run.
Status settle_resources(StudyPlan& plan, const std::filesystem::path& folder);

// The second half of it.
Status settle_checked(StudyPlan& plan, const HostCheck& check);

// What is said at the start when crews are on other hosts: where they are, and where the coordinator listens.
std::string describe_places(const Resources& resources, const std::string& address);

}  // namespace regatta
