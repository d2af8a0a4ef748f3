// A file beside the study shows whether a host sees its folder, and a listening socket whether it gets
// through.
#include "cli/host_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/process.h"
#include "cli/program_version.h"
#include "cluster/network.h"
#include "cluster/settle_hosts.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

// This host's addresses that might do for the others. The agent may know names that the system does not (as
// ssh's configuration does): for these, any address might.
Result<std::vector<std::string>> candidates(const Resources& resources, const Node& section) {
  std::vector<std::string> others;
  for (const HostSlots& host : resources.hosts) {
    if (!is_this_host(host.name)) {
      others.push_back(host.name);
    }
  }
  if (others.empty()) {
    return std::vector<std::string>();
  }
  if (!resources.interface.empty()) {
    auto found = addresses_for({}, resources.interface);
    if (!found.ok()) {
      return mistake_at(section.find("interface")->place(), "interface: " + found.error().message);
    }
    return found;
  }
  std::vector<std::string> addresses;
  const auto add = [&addresses](const std::string& address) {
    if (!address.starts_with("127.") && std::ranges::find(addresses, address) == addresses.end()) {
      addresses.push_back(address);
    }
  };
  bool all_known = true;
  for (const std::string& host : others) {
    const auto found = addresses_for({host});
    all_known = all_known && found.ok();
    if (found.ok()) {
      std::ranges::for_each(*found, add);
    }
  }
  if (!all_known) {
    for (const NetworkInterface& interface : network_interfaces()) {
      add(interface.address);
    }
  }
  if (addresses.empty()) {
    return user_mistake(
        "this host has no IPv4 address by which other hosts could reach it: `ip address` lists them");
  }
  return addresses;
}

}  // namespace

Result<std::unique_ptr<Beacon>> Beacon::light(const fs::path& folder) {
  std::error_code ignored;
  fs::path place = fs::absolute(folder);
  while (!fs::is_directory(place, ignored) && place != place.parent_path()) {
    place = place.parent_path();
  }
  std::unique_ptr<Beacon> beacon(new Beacon(place / fmt::format(".{}", process_token())));
  RETURN_IF_ERROR(write_file_atomically(beacon->path_, process_token()));
  return beacon;
}

Beacon::~Beacon() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

Result<HostCheck> check_hosts(const StudyPlan& plan, const fs::path& folder) {
  const Resources& resources = plan.resources;
  ASSIGN_OR_RETURN(const std::vector<std::string> addresses, candidates(resources, plan.resources_section));
  ASSIGN_OR_RETURN(const auto listener, ReachListener::open(addresses));
  ASSIGN_OR_RETURN(const auto beacon, Beacon::light(folder));
  ASSIGN_OR_RETURN(const fs::path program, this_program());
  const AskOptions options{.agent = resources.agent,
                           .program = program,
                           .question = {.file = beacon->path(),
                                        .token = process_token(),
                                        .endpoints = listener->endpoints(),
                                        .interface = resources.interface,
                                        .cards = why_no_cards(plan).empty()}};
  HostCheck check;
  ASSIGN_OR_RETURN(check.reports, ask_hosts(resources.hosts, options, *listener));
  check.address =
      judge(check.reports,
            {.version = program_version(), .folder = beacon->path().parent_path(), .addresses = addresses});
  return check;
}

std::vector<HostFacts> facts_of(const std::vector<HostReport>& reports, const std::string& why_none) {
  std::vector<HostFacts> facts;
  for (const HostReport& report : reports) {
    facts.push_back({.name = report.host.name,
                     .slots = report.host.slots,
                     .cores = report.answer->cores,
                     .cards = report.answer->cards,
                     .why_no_cards = why_none.empty() ? report.answer->why_no_cards : why_none,
                     .here = is_this_host(report.host.name)});
  }
  return facts;
}

Status refuse_troubles(const std::vector<HostReport>& reports) {
  std::string troubles;
  for (const HostReport& report : reports) {
    if (!report.trouble.empty()) {
      troubles += (troubles.empty() ? "" : "\n") + report.trouble;
    }
  }
  return troubles.empty() ? Status() : Status(user_mistake(troubles));
}

Status settle_resources(StudyPlan& plan, const fs::path& folder) {
  if (plan.resources.hosts.empty() || is_table_study(plan.experiment)) {
    return settle_devices(plan);
  }
  ASSIGN_OR_RETURN(const HostCheck check, check_hosts(plan, folder));
  return settle_checked(plan, check);
}

Status settle_checked(StudyPlan& plan, const HostCheck& check) {
  RETURN_IF_ERROR(refuse_troubles(check.reports));
  plan.resources.address = check.address;
  return settle_hosts(plan.resources, plan.resources_section, facts_of(check.reports, why_no_cards(plan)));
}

std::string describe_places(const Resources& resources, const std::string& address) {
  constexpr std::size_t kMostNamed = 8;
  std::map<std::string, int> whole;
  int spread = 0;
  for (const CrewPlace& place : resources.places) {
    if (place.size() == 1) {
      ++whole[place.front().host];
    } else {
      ++spread;
    }
  }
  std::vector<std::string> parts;
  for (const auto& [host, crews] : whole) {
    parts.push_back(fmt::format("{} on {}", crews, host));
  }
  if (parts.size() > kMostNamed) {
    const std::size_t more = parts.size() - kMostNamed;
    parts.resize(kMostNamed);
    parts.push_back(fmt::format("the others on {} more hosts", more));
  }
  if (spread > 0) {
    parts.push_back(fmt::format("{} over several hosts", spread));
  }
  return fmt::format("{} crew{} of {}: {}; the coordinator listens at {}", resources.crews,
                     resources.crews == 1 ? "" : "s", resources.ranks, fmt::join(parts, ", "), address);
}

}  // namespace regatta
