// A program reads one answer for each report, so there is at most one report under way.
#include "worker/program_reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/shared_file.h"
#include "base/text.h"

namespace regatta {

Status write_marker(const std::filesystem::path& path, int trial, int epoch) {
  RETURN_IF_ERROR(make_directories(path.parent_path()));
  return write_file_atomically(path, nlohmann::json{{"trial", trial}, {"epoch", epoch}}.dump() + "\n");
}

Result<int> read_marker(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file_soon(path));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool names_epoch = json.is_object() && json.contains("epoch") && json["epoch"].is_number_unsigned();
  if (!names_epoch || json["epoch"].get<std::uint64_t>() > std::numeric_limits<int>::max()) {
    return failure(fmt::format("the checkpoint {} cannot be used: it names no epoch", path.string()));
  }
  return json["epoch"].get<int>();
}

ProgramReports::ProgramReports(const Experiment& experiment, const Clock& clock, const AttemptOrder& order,
                               AttemptControl& control, ProgramReportsOptions options)
    : experiment_(experiment),
      clock_(clock),
      order_(order),
      control_(control),
      options_(std::move(options)),
      last_epoch_(options_.resume_epoch),
      until_epoch_(order.until_epoch),
      newest_checkpoint_(order.checkpoint),
      epoch_begin_(clock.monotonic()) {}

Result<bool> ProgramReports::take(const std::string& line) {
  CHECK(!has_report());
  const auto report = parse_program_line(line);
  if (!report.ok()) {
    mistake_ = report.error().message;
    return true;
  }
  if (!*report) {
    return false;
  }
  if ((*report)->epoch <= last_epoch_) {
    repeated_ = true;
    return true;
  }
  check_objectives(**report);
  if (mistake_.empty()) {
    RETURN_IF_ERROR(pass_on(**report));
  }
  return true;
}

Status ProgramReports::pass_on(const ProgramReport& report) {
  const std::string marker = checkpoint_name(order_, report.epoch, 0) + ".program";
  if (const Status written = write_marker(options_.folder / marker, order_.trial, report.epoch);
      !written.ok()) {
    mistake_ = written.error().message;
    return {};
  }
  const Microseconds now = clock_.monotonic();
  const std::chrono::duration<double> elapsed = now - std::exchange(epoch_begin_, now);
  last_epoch_ = report.epoch;
  newest_checkpoint_ = marker;
  waiting_ = true;
  return control_.report({.epoch = report.epoch,
                          .metrics = report.metrics,
                          .checkpoint = marker,
                          .seconds = elapsed.count(),
                          .card = options_.meter == nullptr ? std::nullopt : options_.meter->read()});
}

void ProgramReports::check_objectives(const ProgramReport& report) {
  std::vector<std::string> names;
  for (const auto& [name, value] : report.metrics) {
    names.push_back(name);
  }
  for (const Objective& objective : experiment_.objectives) {
    if (std::ranges::find(names, objective.metric) == names.end()) {
      mistake_ = fmt::format("the program's report of epoch {} has no number '{}', the objective{}",
                             report.epoch, objective.metric, did_you_mean(objective.metric, names));
    }
  }
}

Result<ProgramReports::Next> ProgramReports::decide(const Programs& programs, Microseconds wait) {
  if (programs.mine_finished) {
    repeated_ = false;  // nobody reads the answer
  }
  ASSIGN_OR_RETURN(const Decision decision, control_.decide(last_epoch_, waiting_ ? wait : Microseconds(0)));
  until_epoch_ = decision.until_epoch;
  if (decision.action != Decision::Action::go_on) {
    if (!has_report()) {
      return leave_without_answer(decision.action);
    }
    waiting_ = repeated_ = false;
    return Next{.answer =
                    decision.action == Decision::Action::end ? ProgramAnswer::stop : ProgramAnswer::pause};
  }
  const bool may_go_on = repeated_ || (waiting_ && decision.until_epoch > last_epoch_);
  if (!may_go_on || (programs.mine_finished && !programs.all_finished)) {
    return Next{};
  }
  waiting_ = repeated_ = false;
  epoch_begin_ = clock_.monotonic();  // the wait for the answer is no training
  return Next{.answer = ProgramAnswer::go_on};
}

// An ended attempt has nothing to save. A suspended one can be paused at a report only: one that comes soon
// loses nothing.
ProgramReports::Next ProgramReports::leave_without_answer(Decision::Action action) {
  if (action == Decision::Action::end) {
    return {.leave = AttemptEnd::How::ordered};
  }
  if (!suspended_at_) {
    suspended_at_ = clock_.monotonic();
  }
  if (clock_.monotonic() - *suspended_at_ < options_.grace) {
    return {};
  }
  return {.leave = AttemptEnd::How::interrupted};
}

}  // namespace regatta
