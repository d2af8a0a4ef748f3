// Events as JSON. Numbers keep every bit; what JSON has no number for is written as "nan", "inf" or "-inf".
#include "coordinator/events.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace regatta {
namespace {

using Json = nlohmann::json;

// The names are part of the stored format: add at the end, never rename. In the order of the enumerations.
constexpr std::array kOutcomes = {"paused",  "complete", "stopped",   "diverged",   "failed",
                                  "invalid", "lost",     "preempted", "interrupted"};
constexpr std::array kReasons = {"finished", "target_reached", "time_over", "failed", "interrupted"};

template <class Enum, std::size_t size>
Enum enum_from(const std::string& name, const std::array<const char*, size>& names) {
  for (std::size_t i = 0; i < size; ++i) {
    if (name == names[i]) {
      return static_cast<Enum>(i);
    }
  }
  throw std::runtime_error("'" + name + "' is not known");
}

Json number_to_json(double number) {
  if (std::isnan(number)) {
    return "nan";
  }
  if (std::isinf(number)) {
    return number > 0 ? "inf" : "-inf";
  }
  return number;
}

double number_from_json(const Json& json) {
  if (!json.is_string()) {
    return json.get<double>();
  }
  const auto& text = json.get_ref<const std::string&>();
  if (text == "nan") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (text == "inf" || text == "-inf") {
    return (text == "inf" ? 1 : -1) * std::numeric_limits<double>::infinity();
  }
  throw std::runtime_error("'" + text + "' is not a number");
}

// Json's own conversion cuts off what does not fit: a damaged row would be another trial's.
template <class Integer>
Integer integer_at(const Json& body, const char* key) {
  const Json& json = body.at(key);
  const bool fits = json.is_number_unsigned()
                        ? std::in_range<Integer>(json.get<std::uint64_t>())
                        : json.is_number_integer() && std::in_range<Integer>(json.get<std::int64_t>());
  if (!fits) {
    throw std::runtime_error("its " + std::string(key) + " is no count that fits");
  }
  return json.get<Integer>();
}

template <class Integer>
std::optional<Integer> optional_integer_at(const Json& body, const char* key) {
  return body.contains(key) ? std::optional(integer_at<Integer>(body, key)) : std::nullopt;
}

Json point_to_json(const Point& point) {
  Json json = Json::array();
  for (const auto& value : point) {
    json.push_back(value ? number_to_json(*value) : Json(nullptr));
  }
  return json;
}

Point point_from_json(const Json& json) {
  Point point;
  for (const Json& value : json) {
    point.push_back(value.is_null() ? std::nullopt : std::optional(number_from_json(value)));
  }
  return point;
}

// A list of pairs: an object would lose the reporter's order.
Json metrics_to_json(const Metrics& metrics) {
  Json json = Json::array();
  for (const auto& [name, value] : metrics) {
    json.push_back(Json::array({name, number_to_json(value)}));
  }
  return json;
}

Metrics metrics_from_json(const Json& json) {
  Metrics metrics;
  for (const Json& pair : json) {
    metrics.emplace_back(pair.at(0).get<std::string>(), number_from_json(pair.at(1)));
  }
  return metrics;
}

EncodedEvent encoded(const char* kind, const Json& body) {
  return {kind, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

struct Encoder {
  EncodedEvent operator()(const TrialProposed& event) const {
    Json body = {{"trial", event.trial}, {"point", point_to_json(event.point)}, {"bracket", event.bracket}};
    if (event.parent) {
      body["parent"] = *event.parent;
    }
    return encoded("trial_proposed", body);
  }
  EncodedEvent operator()(const AttemptStarted& event) const {
    Json body = {{"attempt", event.attempt},
                 {"trial", event.trial},
                 {"crew", event.crew},
                 {"until_epoch", event.until_epoch},
                 {"checkpoint", event.checkpoint}};
    if (event.bracket) {
      body["bracket"] = *event.bracket;
    }
    return encoded("attempt_started", body);
  }
  EncodedEvent operator()(const Reported& event) const {
    Json body = {{"attempt", event.attempt},       {"trial", event.trial},
                 {"epoch", event.epoch},           {"metrics", metrics_to_json(event.metrics)},
                 {"checkpoint", event.checkpoint}, {"seconds", number_to_json(event.seconds)}};
    if (event.card.memory_bytes) {
      body["gpu_memory_bytes"] = *event.card.memory_bytes;
    }
    if (event.card.utilization) {
      body["gpu_utilization"] = number_to_json(*event.card.utilization);
    }
    return encoded("reported", body);
  }
  EncodedEvent operator()(const AttemptEnded& event) const {
    return encoded("attempt_ended", {{"attempt", event.attempt},
                                     {"trial", event.trial},
                                     {"outcome", to_string(event.outcome)},
                                     {"checkpoint", event.checkpoint},
                                     {"message", event.message}});
  }
  EncodedEvent operator()(const TestMeasured& event) const {
    return encoded(
        "test_measured",
        {{"trial", event.trial}, {"metrics", metrics_to_json(event.metrics)}, {"model", event.model}});
  }
  EncodedEvent operator()(const StudyEnded& event) const {
    return encoded("study_ended", {{"reason", to_string(event.reason)}, {"message", event.message}});
  }
  EncodedEvent operator()(const StudyResumed& event) const {
    return encoded("study_resumed", {{"retry_failed", event.retry_failed}});
  }
  EncodedEvent operator()(const SearchClosed& event) const {
    return encoded("search_closed", {{"exhausted", event.exhausted}});
  }
  EncodedEvent operator()(const SearchReopened&) const { return encoded("search_reopened", Json::object()); }
};

TrialProposed decode_trial_proposed(const Json& body) {
  return {.trial = integer_at<int>(body, "trial"),
          .point = point_from_json(body.at("point")),
          .bracket = integer_at<int>(body, "bracket"),
          .parent = optional_integer_at<int>(body, "parent")};
}

AttemptStarted decode_attempt_started(const Json& body) {
  return {.attempt = integer_at<AttemptId>(body, "attempt"),
          .trial = integer_at<int>(body, "trial"),
          .crew = body.at("crew"),
          .until_epoch = integer_at<int>(body, "until_epoch"),
          .checkpoint = body.at("checkpoint"),
          .bracket = optional_integer_at<int>(body, "bracket")};
}

Reported decode_reported(const Json& body) {
  return {.attempt = integer_at<AttemptId>(body, "attempt"),
          .trial = integer_at<int>(body, "trial"),
          .epoch = integer_at<int>(body, "epoch"),
          .metrics = metrics_from_json(body.at("metrics")),
          .checkpoint = body.at("checkpoint"),
          .seconds = number_from_json(body.at("seconds")),
          .card = {.memory_bytes = optional_integer_at<std::uint64_t>(body, "gpu_memory_bytes"),
                   .utilization = body.contains("gpu_utilization")
                                      ? std::optional(number_from_json(body.at("gpu_utilization")))
                                      : std::nullopt}};
}

AttemptEnded decode_attempt_ended(const Json& body) {
  return {.attempt = integer_at<AttemptId>(body, "attempt"),
          .trial = integer_at<int>(body, "trial"),
          .outcome = enum_from<Outcome>(body.at("outcome").get<std::string>(), kOutcomes),
          .checkpoint = body.at("checkpoint"),
          .message = body.at("message")};
}

Event decode_body(const std::string& kind, const Json& body) {
  if (kind == "trial_proposed") {
    return decode_trial_proposed(body);
  }
  if (kind == "attempt_started") {
    return decode_attempt_started(body);
  }
  if (kind == "reported") {
    return decode_reported(body);
  }
  if (kind == "attempt_ended") {
    return decode_attempt_ended(body);
  }
  if (kind == "test_measured") {
    return TestMeasured{.trial = integer_at<int>(body, "trial"),
                        .metrics = metrics_from_json(body.at("metrics")),
                        .model = body.at("model")};
  }
  if (kind == "study_ended") {
    return StudyEnded{.reason = enum_from<StudyEnded::Reason>(body.at("reason").get<std::string>(), kReasons),
                      .message = body.at("message")};
  }
  if (kind == "study_resumed") {
    return StudyResumed{.retry_failed = body.at("retry_failed")};
  }
  if (kind == "search_closed") {
    return SearchClosed{.exhausted = body.at("exhausted")};
  }
  if (kind == "search_reopened") {
    return SearchReopened{};
  }
  throw std::runtime_error("this version does not know the kind; was it written by a newer one?");
}

}  // namespace

const char* to_string(Outcome outcome) { return kOutcomes.at(static_cast<std::size_t>(outcome)); }

const char* to_string(StudyEnded::Reason reason) { return kReasons.at(static_cast<std::size_t>(reason)); }

std::string valid_text(std::string text) {
  return Json::parse(Json(std::move(text)).dump(-1, ' ', false, Json::error_handler_t::replace))
      .get<std::string>();
}

EncodedEvent encode(const Event& event) { return std::visit(Encoder{}, event); }

Result<Event> decode(const EncodedEvent& encoded) {
  try {
    return decode_body(encoded.kind, Json::parse(encoded.body));
  } catch (const std::exception& exception) {
    return failure("the stored event of kind '" + encoded.kind + "' cannot be read: " + exception.what());
  }
}

}  // namespace regatta
