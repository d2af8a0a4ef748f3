// One array a trial, since there may be many: [state, point, [[epoch, values], …], values].
#include "coordinator/learned.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace regatta {
namespace {

using Json = nlohmann::json;

Json point_json(const Point& point) {
  Json json = Json::array();
  for (const auto& number : point) {
    json.push_back(number ? Json(*number) : Json());
  }
  return json;
}

Json trial_json(const Trial& trial) {
  Json scores = Json::array();
  for (const Score& score : trial.scores) {
    scores.push_back(Json::array({score.epoch, score.values}));
  }
  return Json::array({to_string(trial.state), point_json(trial.point), std::move(scores), trial.values});
}

TrialState state_of(const std::string& name) {
  for (const TrialState state :
       {TrialState::complete, TrialState::stopped, TrialState::failed, TrialState::invalid}) {
    if (name == to_string(state)) {
      return state;
    }
  }
  throw std::invalid_argument("no trial ends as '" + name + "'");
}

// The library would convert any number, and one that no int can hold has no meaning then.
int whole_number(const Json& json) {
  const auto number = json.is_number_integer() ? json.get<std::int64_t>() : -1;
  if (number < 0 || number > std::numeric_limits<int>::max()) {
    throw std::invalid_argument(json.dump() + " is no count");
  }
  return static_cast<int>(number);
}

Trial trial_of(const Json& json, int number) {
  Trial trial{.number = number, .state = state_of(json.at(0).get<std::string>())};
  for (const Json& coordinate : json.at(1)) {
    trial.point.push_back(coordinate.is_null() ? std::nullopt : std::optional(coordinate.get<double>()));
  }
  for (const Json& score : json.at(2)) {
    trial.scores.push_back(
        {.epoch = whole_number(score.at(0)), .values = score.at(1).get<std::vector<double>>()});
  }
  trial.values = json.at(3).get<std::vector<double>>();
  return trial;
}

}  // namespace

std::string encode_learned(const std::vector<EarlierStudy>& studies) {
  if (studies.empty()) {
    return {};
  }
  Json list = Json::array();
  for (const EarlierStudy& study : studies) {
    Json trials = Json::array();
    for (const Trial& trial : study.trials) {
      trials.push_back(trial_json(trial));
    }
    list.push_back({{"outside", study.outside}, {"trials", std::move(trials)}});
  }
  return list.dump();
}

Result<std::vector<EarlierStudy>> decode_learned(const std::string& text) {
  std::vector<EarlierStudy> studies;
  if (text.empty()) {
    return studies;
  }
  try {
    for (const Json& json : Json::parse(text)) {
      EarlierStudy study{.trials = {}, .outside = whole_number(json.at("outside"))};
      for (const Json& trial : json.at("trials")) {
        study.trials.push_back(trial_of(trial, static_cast<int>(study.trials.size())));
      }
      studies.push_back(std::move(study));
    }
  } catch (const std::exception& exception) {
    return failure(
        fmt::format("what the study has learned from earlier ones cannot be read: {}", exception.what()));
  }
  return studies;
}

}  // namespace regatta
