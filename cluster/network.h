// Which of this host's addresses other hosts reach it by.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/resources.h"

namespace regatta {

// The IPv4 address of this host from which packets leave for all of `hosts` (names or addresses). With no
// other host than this one: 127.0.0.1. `interface` is the name of a network interface, or a network such as
// 10.77.0.0/24 that one of this host's addresses is in; empty: as the routes are. Fails, naming the host,
// where a name cannot be resolved or no route leads there, or where the hosts are reached from different
// addresses.
Result<std::string> address_for(const std::vector<std::string>& hosts, const std::string& interface = {});

// Where the coordinator listens, so that all of its crews reach it: nothing listens beyond loopback unless it
// must.
Result<std::string> coordinator_address(const Resources& resources);

// What `resources.listen` means on this host: loopback, all (0.0.0.0), one of its IPv4 addresses, or the name
// or network of an interface (see address_for). Refuses what this host does not have, with what it has.
Result<std::string> listening_address(const std::string& listen);

}  // namespace regatta
