// Names are checked for what mpirun and a shell would take apart; whether they exist is found out by asking.
#include "cluster/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "base/file.h"

namespace regatta {
namespace {

constexpr int kMostSlots = 1'000'000;

constexpr const char* kHostRemedy = "write NAME or NAME:SLOTS, e.g. hosts: [node1:4, node2:4]";

bool is_host_name(std::string_view text) {
  const auto allowed = [](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '.' || letter == '-' || letter == '_';
  };
  return !text.empty() && text.front() != '-' && std::ranges::all_of(text, allowed);
}

std::optional<int> parse_slots(std::string_view text) {
  int slots = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slots);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && slots >= 1 && slots <= kMostSlots ? std::optional(slots) : std::nullopt;
}

Result<HostSlots> parse_host(const Node& node) {
  ASSIGN_OR_RETURN(const std::string text, read_text(node));
  const std::size_t colon = text.find(':');
  HostSlots host{.name = text.substr(0, colon), .slots = 0, .place = node.place()};
  if (!is_host_name(host.name)) {
    return mistake_at(node.place(), fmt::format("hosts: '{}' names no host: {}", text, kHostRemedy));
  }
  if (colon != std::string::npos) {
    const auto slots = parse_slots(std::string_view(text).substr(colon + 1));
    if (!slots) {
      return mistake_at(node.place(),
                        fmt::format("hosts: '{}' is no number of slots, which is at least 1: {}",
                                    text.substr(colon + 1), kHostRemedy));
    }
    host.slots = *slots;
  }
  return host;
}

std::vector<HostSlots> read_list(Section& section, const Node& list) {
  if (!list.is_sequence() || list.items().empty()) {
    section.mistake(list.place(), fmt::format("hosts: expected a list of hosts: {}", kHostRemedy));
    return {};
  }
  std::vector<HostSlots> hosts;
  for (const Node& item : list.items()) {
    auto host = section.take(parse_host(item));
    if (!host) {
      return {};
    }
    if (std::ranges::any_of(hosts, [&](const HostSlots& other) { return other.name == host->name; })) {
      section.mistake(item.place(),
                      fmt::format("hosts: '{0}' is named twice: write its slots once, {0}:N", host->name));
    }
    hosts.push_back(*std::move(host));
  }
  return hosts;
}

std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view space = " \t\r";
  std::vector<std::string_view> words;
  line = line.substr(0, line.find('#'));
  while (true) {
    const std::size_t begin = line.find_first_not_of(space);
    if (begin == std::string_view::npos) {
      return words;
    }
    line.remove_prefix(begin);
    const std::size_t end = std::min(line.find_first_of(space), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

// One line's host; slots 0: it gives none.
Result<HostSlots> parse_line(const std::vector<std::string_view>& words, const Place& place) {
  if (!is_host_name(words[0])) {
    return mistake_at(place, fmt::format("'{}' names no host: write NAME slots=N", words[0]));
  }
  HostSlots host{.name = std::string(words[0]), .slots = 0, .place = place};
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const std::string_view key = words[i].substr(0, equals);
    const auto slots =
        equals == std::string_view::npos ? std::nullopt : parse_slots(words[i].substr(equals + 1));
    const bool known = key == "slots" || key == "max_slots" || key == "max-slots";
    if (!known || !slots) {
      return mistake_at(place,
                        fmt::format("'{}' after host '{}' is not understood: write {} slots=N, with N at "
                                    "least 1",
                                    words[i], host.name, host.name));
    }
    if (key == "slots") {
      host.slots = *slots;
    }
  }
  return host;
}

}  // namespace

Result<std::vector<HostSlots>> parse_hostfile(std::string_view text, const std::string& file) {
  std::vector<HostSlots> hosts;
  std::vector<bool> counted;  // whether a line has given the host's slots
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const auto words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty()) {
      continue;
    }
    ASSIGN_OR_RETURN(HostSlots host, parse_line(words, {.file = file, .line = number, .column = 1}));
    const auto same = std::ranges::find(hosts, host.name, &HostSlots::name);
    const auto index = static_cast<std::size_t>(same - hosts.begin());
    if (same == hosts.end()) {
      counted.push_back(host.slots > 0);
      hosts.push_back(std::move(host));
    } else if (counted[index] || host.slots > 0) {
      same->slots += std::max(1, host.slots);
      counted[index] = true;
    } else {
      same->slots = std::max(1, same->slots) + 1;
    }
  }
  if (hosts.empty()) {
    return mistake_at({.file = file, .line = 1, .column = 1},
                      "this hostfile names no host: write NAME slots=N, one host a line");
  }
  return hosts;
}

std::vector<HostSlots> read_hosts(Section& section) {
  const Node* const list = section.child("hosts");
  const Node* const file = section.child("hostfile");
  if (list != nullptr && file != nullptr) {
    section.mistake(file->place(), "hostfile: `hosts` names the hosts already: leave one of the two out");
    return {};
  }
  if (list != nullptr) {
    return read_list(section, *list);
  }
  if (file == nullptr) {
    return {};
  }
  const auto name = section.take(read_text(*file));
  if (!name) {
    return {};
  }
  const auto path = std::filesystem::path(file->place().file).parent_path() / *name;
  const auto text = read_file(path);
  if (!text.ok()) {
    section.mistake(file->place(), fmt::format("hostfile: {}", text.error().message));
    return {};
  }
  return section.take(parse_hostfile(*text, path.string())).value_or(std::vector<HostSlots>());
}

std::string describe(const std::vector<HostSlots>& hosts) {
  std::vector<std::string> names;
  for (const HostSlots& host : hosts) {
    names.push_back(host.slots > 0 ? fmt::format("{}:{}", host.name, host.slots) : host.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace regatta
