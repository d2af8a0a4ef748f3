// Requests to calls of the search, and what it says to JSON.
#include "cli/ask_tell_dialogue.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/overloaded.h"
#include "cli/trial_json.h"
#include "search/pareto.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;
using Action = AskTell::Decision::Action;

std::string text_of(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string error_line(const Error& error) { return text_of({{"error", error.message}}); }

ordered_json parameters_json(const Space& space, const Point& point) {
  ordered_json parameters = ordered_json::object();
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (const auto value = space.value(point, i)) {
      parameters[space.parameters()[i].name] = value_json(*value);
    }
  }
  return parameters;
}

ordered_json work_json(const Space& space, const AskTell::Work& work) {
  ordered_json json = {{"trial", work.trial}, {"params", parameters_json(space, work.point)}};
  if (work.resumed) {
    json["resume"] = true;
  }
  if (work.parent) {
    json["parent"] = *work.parent;
  }
  if (work.from_epoch > 0) {
    json["epoch"] = work.from_epoch;
  }
  if (work.until_epoch != kUnlimitedEpochs) {
    json["until"] = work.until_epoch;
  }
  return json;
}

std::string decision_line(const AskTell::Decision& decision) {
  if (decision.action != Action::go_on) {
    return text_of({{"decision", decision.action == Action::pause ? "pause" : "stop"}});
  }
  ordered_json json = {{"decision", "continue"}};
  if (decision.until_epoch != kUnlimitedEpochs) {
    json["until"] = decision.until_epoch;
  }
  return text_of(json);
}

std::string open_line(const Space& space, const AskTell& search) {
  ordered_json trials = ordered_json::array();
  for (const AskTell::Work& work : search.open()) {
    ordered_json json = work_json(space, work);
    const auto& scores = search.trials()[static_cast<std::size_t>(work.trial)].scores;
    if (!scores.empty()) {
      json["reported"] = scores.back().epoch;
    }
    trials.push_back(std::move(json));
  }
  return text_of({{"trials", trials}});
}

ordered_json ended_json(const Experiment& experiment, const AskTell& search, int number) {
  const Trial& trial = search.trials()[static_cast<std::size_t>(number)];
  ordered_json json = {{"trial", number},
                       {"params", parameters_json(experiment.space, trial.point)},
                       {"state", to_string(trial.state)}};
  ordered_json values = ordered_json::array();
  for (std::size_t i = 0; i < trial.values.size(); ++i) {
    values.push_back(in_user_direction(experiment.objectives[i], trial.values[i]));
  }
  if (values.size() == 1) {
    json["value"] = values.front();
  } else {
    json["values"] = values;
  }
  return json;
}

std::string best_line(const Experiment& experiment, const AskTell& search) {
  const auto best = search.best();
  ordered_json json = {{"best", best ? ended_json(experiment, search, *best) : ordered_json()}};
  if (experiment.objectives.size() > 1) {
    json["front"] = ordered_json::array();
    for (const int number : pareto_front(search.trials())) {
      json["front"].push_back(ended_json(experiment, search, number));
    }
  }
  return text_of(json);
}

AskTellDialogue::Answer noted(const Status& status, const AskTellRequest& request) {
  if (!status.ok()) {
    return {.line = error_line(status.error()), .changed = {}};
  }
  return {.line = text_of({{"ok", true}}), .changed = request};
}

}  // namespace

AskTellDialogue::AskTellDialogue(const Experiment& experiment, const SearchConfig& config)
    : experiment_(experiment), search_(experiment, config) {}

AskTellDialogue::Answer AskTellDialogue::answer(std::string_view line) {
  const auto request = parse_request(line);
  return request.ok() ? answer(*request) : Answer{.line = error_line(request.error()), .changed = {}};
}

AskTellDialogue::Answer AskTellDialogue::answer(const AskTellRequest& request) {
  Answer answer = std::visit(
      Overloaded{
          [&](const AskRequest& ask) { return answer_ask(ask); },
          [&](const ReportRequest& report) -> Answer {
            const auto decision = search_.report(report.trial, report.epoch, report.values);
            if (!decision.ok()) {
              return {.line = error_line(decision.error()), .changed = {}};
            }
            return {.line = decision_line(*decision), .changed = request};
          },
          [&](const TellRequest& tell) { return noted(search_.tell(tell.trial, tell.values), request); },
          [&](const GiveUpRequest& give_up) {
            const auto why = give_up.invalid ? AskTell::Failure::invalid : AskTell::Failure::failed;
            return noted(search_.give_up(give_up.trial, why), request);
          },
          [&](const OpenRequest&) -> Answer {
            return {.line = open_line(experiment_.space, search_), .changed = {}};
          },
          [&](const BestRequest&) -> Answer {
            return {.line = best_line(experiment_, search_), .changed = {}};
          }},
      request);
  if (answer.changed && !std::holds_alternative<AskRequest>(request)) {
    asked_in_vain_ = false;
  }
  return answer;
}

// One trial stands for itself, several in a list: as many as there are now. An ask in vain may still close
// the scheduler; a second one changes nothing.
AskTellDialogue::Answer AskTellDialogue::answer_ask(const AskRequest& request) {
  if (closed_) {
    return {.line = text_of({{"done", true}}), .changed = {}};
  }
  ordered_json trials = ordered_json::array();
  AskTell::Answer answer = AskTell::Done{};
  while (static_cast<int>(trials.size()) < request.count) {
    answer = search_.ask();
    const auto* work = std::get_if<AskTell::Work>(&answer);
    if (work == nullptr) {
      break;
    }
    trials.push_back(work_json(experiment_.space, *work));
  }
  const bool in_vain = trials.empty();
  const bool changed = !in_vain || !std::exchange(asked_in_vain_, in_vain);
  Answer result{.line = {}, .changed = changed ? std::optional<AskTellRequest>(request) : std::nullopt};
  if (in_vain) {
    const bool done = std::holds_alternative<AskTell::Done>(answer);
    result.line = text_of({{done ? "done" : "wait", true}});
  } else {
    result.line = request.count == 1 ? text_of(trials.front()) : text_of({{"trials", trials}});
  }
  return result;
}

}  // namespace regatta
