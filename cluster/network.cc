// Asks the kernel's routing table: connecting a UDP socket sends nothing, but chooses the address.
#include "cluster/network.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

#include "base/host.h"
#include "base/text.h"
#include "cluster/slurm_jobs.h"

namespace regatta {
namespace {

const std::string kLoopback = "127.0.0.1";

std::string text_of(in_addr address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

struct Network {
  std::uint32_t base = 0;  // host byte order
  std::uint32_t mask = 0;
  bool has(const std::string& address) const {
    in_addr number{};
    return ::inet_pton(AF_INET, address.c_str(), &number) == 1 && (ntohl(number.s_addr) & mask) == base;
  }
};

std::optional<Network> parse_network(const std::string& text) {
  const std::size_t slash = text.find('/');
  in_addr base{};
  int bits = -1;
  if (slash == std::string::npos || ::inet_pton(AF_INET, text.substr(0, slash).c_str(), &base) != 1) {
    return std::nullopt;
  }
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, bits);
  if (error != std::errc() || rest != end || bits < 0 || bits > 32) {
    return std::nullopt;
  }
  const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits);
  return Network{.base = ntohl(base.s_addr) & mask, .mask = mask};
}

Result<in_addr> resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return user_mistake(
        fmt::format("host {} cannot be found: {}; check its name", host, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  sockaddr_in address{};
  std::memcpy(&address, found->ai_addr, sizeof address);
  return address.sin_addr;
}

// Of this host, for packets to `host`.
Result<std::string> source_address(const std::string& host) {
  ASSIGN_OR_RETURN(const in_addr target, resolve(host));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);  // any: nothing is sent
  address.sin_addr = target;
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) {
    return failure(fmt::format("cannot make a socket: {}", std::strerror(errno)));
  }
  sockaddr_in own{};
  socklen_t size = sizeof own;
  const bool routed =
      ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  const int error = errno;
  ::close(descriptor);
  if (!routed) {
    return user_mistake(
        fmt::format("no way leads from host {} to host {}: {}", host_name(), host, std::strerror(error)));
  }
  // A host reaches itself from whichever of its addresses it is asked for.
  return own.sin_addr.s_addr == target.s_addr ? kLoopback : text_of(own.sin_addr);
}

}  // namespace

std::vector<NetworkInterface> network_interfaces() {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) {
    return {};
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(found, &::freeifaddrs);
  std::vector<NetworkInterface> result;
  for (const ifaddrs* entry = found; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
        (entry->ifa_flags & IFF_UP) != 0) {
      sockaddr_in address{};
      std::memcpy(&address, entry->ifa_addr, sizeof address);
      result.push_back({.name = entry->ifa_name, .address = text_of(address.sin_addr)});
    }
  }
  return result;
}

Result<NetworkInterface> find_interface(const std::vector<NetworkInterface>& interfaces,
                                        const std::string& wanted, const std::string& host) {
  const auto network = parse_network(wanted);
  std::vector<std::string> names;
  std::vector<std::string> described;
  for (const NetworkInterface& interface : interfaces) {
    if (network ? network->has(interface.address) : interface.name == wanted) {
      return interface;
    }
    names.push_back(interface.name);
    described.push_back(fmt::format("{} ({})", interface.name, interface.address));
  }
  return user_mistake(fmt::format("host {} has no network interface '{}' with an IPv4 address{}; it has {}",
                                  host, wanted, did_you_mean(wanted, names),
                                  described.empty() ? "none" : one_of(described)));
}

bool is_this_host(const std::string& host) {
  if (host == host_name()) {
    return true;
  }
  const auto source = source_address(host);
  return source.ok() && *source == kLoopback;
}

Result<std::vector<std::string>> addresses_for(const std::vector<std::string>& hosts,
                                               const std::string& interface) {
  if (!interface.empty()) {
    ASSIGN_OR_RETURN(const NetworkInterface found,
                     find_interface(network_interfaces(), interface, host_name()));
    return std::vector<std::string>{found.address};
  }
  std::vector<std::string> addresses;
  for (const std::string& host : hosts) {
    ASSIGN_OR_RETURN(const std::string source, source_address(host));
    if (source != kLoopback && std::ranges::find(addresses, source) == addresses.end()) {
      addresses.push_back(source);
    }
  }
  return addresses.empty() ? std::vector<std::string>{kLoopback} : addresses;
}

Result<std::string> address_for(const std::vector<std::string>& hosts, const std::string& interface) {
  ASSIGN_OR_RETURN(const std::vector<std::string> addresses, addresses_for(hosts, interface));
  if (addresses.size() > 1) {
    return user_mistake(fmt::format(
        "the hosts {} are reached from different addresses of host {} ({}): name the network that all "
        "of them share, as resources.interface",
        fmt::join(hosts, ", "), host_name(), fmt::join(addresses, ", ")));
  }
  return addresses.front();
}

Result<std::string> coordinator_address(const Resources& resources) {
  const bool are_elsewhere = !resources.address.empty() || resources.slurm;  // who are no use on loopback
  if (!resources.listen.empty() && !(resources.listen == "loopback" && are_elsewhere)) {
    return listening_address(resources.listen);
  }
  if (resources.slurm) {
    ASSIGN_OR_RETURN(const auto nodes, node_addresses(resources.slurm->allocation.node_list));
    return address_for(nodes, resources.interface);
  }
  return resources.address.empty() ? kLoopback : resources.address;
}

Result<std::string> listening_address(const std::string& listen) {
  if (listen == "loopback") {
    return kLoopback;
  }
  if (listen == "all") {
    return std::string("0.0.0.0");
  }
  in_addr address{};
  const bool is_address = ::inet_pton(AF_INET, listen.c_str(), &address) == 1;
  auto found = address_for({}, is_address ? listen + "/32" : listen);
  return found.ok() ? found : user_mistake("resources.listen: " + found.error().message);
}

}  // namespace regatta
