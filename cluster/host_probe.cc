// The answer is found by its first key: agents and login scripts write what they like before and after it.
#include "cluster/host_probe.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/host.h"
#include "cluster/network.h"
#include "cluster/reach.h"
#include "devices/devices.h"

namespace regatta {
namespace {

constexpr Microseconds kReachLimit = std::chrono::seconds(2);
constexpr std::string_view kBegin = "{\"regatta_probe\":";

}  // namespace

std::vector<std::string> probe_arguments(const ProbeQuestion& question) {
  std::vector<std::string> arguments{"probe", "--token", question.token};
  if (!question.file.empty()) {
    arguments.insert(arguments.end(), {"--file", question.file.string()});
  }
  for (const std::string& endpoint : question.endpoints) {
    arguments.insert(arguments.end(), {"--reach", endpoint});
  }
  if (!question.interface.empty()) {
    arguments.insert(arguments.end(), {"--interface", question.interface});
  }
  if (question.cards) {
    arguments.emplace_back("--cards");
  }
  return arguments;
}

ProbeAnswer answer_probe(const ProbeQuestion& question, const std::string& version) {
  ProbeAnswer answer{.version = version,
                     .host = host_name(),
                     .cores = usable_cores(),
                     .cards = 0,
                     .why_no_cards = {},
                     .sees_file = true,
                     .reaches = {},
                     .no_interface = {}};
  if (!question.file.empty()) {
    const auto text = read_file(question.file);
    answer.sees_file = text.ok() && *text == question.token;
  }
  for (const std::string& endpoint : question.endpoints) {
    answer.reaches.push_back(reaches(endpoint, question.token, kReachLimit));
  }
  if (!question.interface.empty()) {
    const auto found = find_interface(network_interfaces(), question.interface, answer.host);
    answer.no_interface = found.ok() ? "" : found.error().message;
  }
  if (question.cards) {
    const FoundDevices found = find_devices();
    answer.cards = static_cast<int>(found.cards.size());
    answer.why_no_cards = found.why_none;
  }
  return answer;
}

std::string encode(const ProbeAnswer& answer) {
  const nlohmann::ordered_json json{{"regatta_probe", answer.version},
                                    {"host", answer.host},
                                    {"cores", answer.cores},
                                    {"cards", answer.cards},
                                    {"why_no_cards", answer.why_no_cards},
                                    {"sees_file", answer.sees_file},
                                    {"reaches", answer.reaches},
                                    {"no_interface", answer.no_interface}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<ProbeAnswer> find_answer(const std::string& output) {
  const std::size_t begin = output.find(kBegin);
  if (begin == std::string::npos) {
    return std::nullopt;
  }
  const std::size_t end = std::min(output.find('\n', begin), output.size());
  const auto json = nlohmann::json::parse(output.substr(begin, end - begin), nullptr, false);
  try {
    return ProbeAnswer{.version = json.at("regatta_probe"),
                       .host = json.at("host"),
                       .cores = std::max(1, json.at("cores").get<int>()),
                       .cards = std::max(0, json.at("cards").get<int>()),
                       .why_no_cards = json.at("why_no_cards"),
                       .sees_file = json.at("sees_file"),
                       .reaches = json.at("reaches").get<std::vector<bool>>(),
                       .no_interface = json.at("no_interface")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace regatta
