// JSON objects of one of a few shapes; what is not one of them is a mistake of the client, never of ours.
#include "cli/ask_tell_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/overloaded.h"
#include "base/python_json.h"
#include "base/text.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;

constexpr int kMostTrials = 10'000;  // of one ask: bounds the answer

// Lists and maps are not quoted: one that is nested deeply enough would exhaust the stack.
std::string excerpt(const ordered_json& json) {
  constexpr std::size_t kLongest = 50;
  const std::string text = json.is_structured()
                               ? fmt::format("a {}", json.is_array() ? "list" : "map")
                               : json.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
  return text.size() > kLongest ? text.substr(0, kLongest) + "…" : text;
}

std::optional<double> not_finite(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array<std::string_view, 7> kWords = {"nan",      "inf",       "+inf",     "-inf",
                                                      "infinity", "+infinity", "-infinity"};
  const bool known = std::find(kWords.begin(), kWords.end(), word) != kWords.end();
  return known ? std::optional(std::nan("")) : std::nullopt;
}

class RequestReader {
 public:
  explicit RequestReader(const ordered_json& json) : json_(json) {}

  Result<AskTellRequest> read() {
    constexpr std::array<std::string_view, 5> kVerbs = {"ask", "report", "tell", "open", "best"};
    const std::vector<std::string> names(kVerbs.begin(), kVerbs.end());
    std::string verb;
    for (const std::string& name : names) {
      if (json_.contains(name)) {
        verb = name;
        break;
      }
    }
    if (verb.empty()) {
      const std::string hint = json_.empty() ? "" : did_you_mean(json_.begin().key(), names);
      return user_mistake(fmt::format("expected a request with {}{}", one_of(names), hint));
    }
    known_ = {verb};
    Result<AskTellRequest> request = read_verb(verb);
    if (request.ok()) {
      RETURN_IF_ERROR(finish());
    }
    return request;
  }

 private:
  Result<AskTellRequest> read_verb(const std::string& verb) {
    if (verb == "ask") {
      ASSIGN_OR_RETURN(const int count, integer("ask", 1, kMostTrials));
      return AskTellRequest(AskRequest{.count = count});
    }
    if (verb == "report") {
      ASSIGN_OR_RETURN(const int trial, integer("report", 0, std::numeric_limits<int>::max()));
      ASSIGN_OR_RETURN(const int epoch, integer("epoch", 1, std::numeric_limits<int>::max()));
      ASSIGN_OR_RETURN(std::vector<double> values, read_values());
      return AskTellRequest(ReportRequest{.trial = trial, .epoch = epoch, .values = std::move(values)});
    }
    if (verb == "tell") {
      return read_tell();
    }
    RETURN_IF_ERROR(must_be_true(verb));
    return verb == "open" ? AskTellRequest(OpenRequest{}) : AskTellRequest(BestRequest{});
  }

  Result<AskTellRequest> read_tell() {
    ASSIGN_OR_RETURN(const int trial, integer("tell", 0, std::numeric_limits<int>::max()));
    if (json_.contains("invalid")) {
      RETURN_IF_ERROR(must_be_true("invalid"));
      return AskTellRequest(GiveUpRequest{.trial = trial, .invalid = true});
    }
    const bool has_list = json_.contains("values");
    ASSIGN_OR_RETURN(std::vector<double> values, read_values());
    if (!has_list && std::isnan(values.front())) {
      return AskTellRequest(GiveUpRequest{.trial = trial});  // however many objectives there are
    }
    return AskTellRequest(TellRequest{.trial = trial, .values = std::move(values)});
  }

  Status must_be_true(const std::string& key) {
    known_.push_back(key);
    const ordered_json& value = json_[key];
    if (!value.is_boolean() || !value.get<bool>()) {
      return user_mistake(fmt::format("expected \"{}\": true, not {}", key, excerpt(value)));
    }
    return {};
  }

  Result<int> integer(const std::string& key, int min, int max) {
    known_.push_back(key);
    if (!json_.contains(key)) {
      return user_mistake(fmt::format("\"{}\" is missing", key));
    }
    const ordered_json& value = json_[key];
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!(number >= min && number <= max) || number != std::floor(number)) {
      const bool bounded = max < std::numeric_limits<int>::max();
      return user_mistake(
          fmt::format("\"{}\": expected a whole number {}, not {}", key,
                      bounded ? fmt::format("from {} to {}", min, max) : fmt::format("of at least {}", min),
                      excerpt(value)));
    }
    return static_cast<int>(number);
  }

  Result<double> number(const ordered_json& value) {
    if (value.is_null()) {
      return std::nan("");
    }
    if (value.is_string()) {
      if (const auto word = not_finite(value.get<std::string>())) {
        return *word;
      }
    }
    if (!value.is_number()) {
      return user_mistake(
          fmt::format("expected a number, or null or \"nan\" for none, not {}", excerpt(value)));
    }
    return value.get<double>();
  }

  // "value": one, "values": a list of one for each objective.
  Result<std::vector<double>> read_values() {
    known_.insert(known_.end(), {"value", "values"});
    if (json_.contains("value") == json_.contains("values")) {
      return user_mistake("expected \"value\", or for several objectives \"values\"");
    }
    if (json_.contains("value")) {
      ASSIGN_OR_RETURN(const double value, number(json_["value"]));
      return std::vector<double>{value};
    }
    const ordered_json& list = json_["values"];
    if (!list.is_array() || list.empty()) {
      return user_mistake(fmt::format("\"values\": expected a list of numbers, not {}", excerpt(list)));
    }
    std::vector<double> values;
    for (const ordered_json& item : list) {
      ASSIGN_OR_RETURN(const double value, number(item));
      values.push_back(value);
    }
    return values;
  }

  Status finish() const {
    for (const auto& [key, value] : json_.items()) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        return user_mistake(fmt::format("{} does not belong to \"{}\"{}", excerpt(key), known_.front(),
                                        did_you_mean(key, known_)));
      }
    }
    return {};
  }

  const ordered_json& json_;
  std::vector<std::string> known_;  // keys of this request, the verb first
};

ordered_json values_json(const std::vector<double>& values) {
  ordered_json list = ordered_json::array();
  for (const double value : values) {
    list.push_back(std::isfinite(value) ? ordered_json(value) : ordered_json());
  }
  return list;
}

}  // namespace

Result<AskTellRequest> parse_request(std::string_view line) {
  const auto json = ordered_json::parse(to_plain_json(line), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return user_mistake("this is not JSON: expected one object a line, such as {\"ask\": 1}");
  }
  if (!json.is_object()) {
    return user_mistake(fmt::format("expected an object such as {{\"ask\": 1}}, not {}", excerpt(json)));
  }
  return RequestReader(json).read();
}

std::string request_line(const AskTellRequest& request) {
  const ordered_json json =
      std::visit(Overloaded{[](const AskRequest& ask) -> ordered_json {
                              return {{"ask", ask.count}};
                            },
                            [](const ReportRequest& report) -> ordered_json {
                              return {{"report", report.trial},
                                      {"epoch", report.epoch},
                                      {"values", values_json(report.values)}};
                            },
                            [](const TellRequest& tell) -> ordered_json {
                              return {{"tell", tell.trial}, {"values", values_json(tell.values)}};
                            },
                            [](const GiveUpRequest& give_up) -> ordered_json {
                              if (give_up.invalid) {
                                return {{"tell", give_up.trial}, {"invalid", true}};
                              }
                              return {{"tell", give_up.trial}, {"value", nullptr}};
                            },
                            [](const OpenRequest&) -> ordered_json {
                              return {{"open", true}};
                            },
                            [](const BestRequest&) -> ordered_json {
                              return {{"best", true}};
                            }},
                 request);
  return json.dump();
}

}  // namespace regatta
