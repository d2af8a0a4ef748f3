// Which of this host's addresses other hosts reach it by.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/resources.h"

namespace regatta {

struct NetworkInterface {
  std::string name;
  std::string address;  // IPv4
};
// That are up and have an IPv4 address, those of IPv6 left out.
std::vector<NetworkInterface> network_interfaces();

// The one of `interfaces` that `wanted` means: by its name, or as a network such as 10.77.0.0/24 that its
// address is in. Fails with the names of those that are there; `host` is what messages call their host.
Result<NetworkInterface> find_interface(const std::vector<NetworkInterface>& interfaces,
                                        const std::string& wanted, const std::string& host);

// Whether `host`, a name or an address, is this host.
bool is_this_host(const std::string& host);

// The IPv4 addresses of this host from which packets leave for `hosts` (names or addresses), each once, in
// their order. With no other host than this one: 127.0.0.1. `interface`: only that one's (see
// find_interface); empty: as the routes are. Fails, naming the host, where a name cannot be resolved or no
// route leads there.
Result<std::vector<std::string>> addresses_for(const std::vector<std::string>& hosts,
                                               const std::string& interface = {});

// The one address of addresses_for(); fails, naming the hosts, where there are several.
Result<std::string> address_for(const std::vector<std::string>& hosts, const std::string& interface = {});

// Where the coordinator listens, so that all of its crews reach it: nothing listens beyond loopback unless it
// must.
Result<std::string> coordinator_address(const Resources& resources);

// What `resources.listen` means on this host: loopback, all (0.0.0.0), one of its IPv4 addresses, or the name
// or network of an interface (see address_for). Refuses what this host does not have, with what it has.
Result<std::string> listening_address(const std::string& listen);

}  // namespace regatta
