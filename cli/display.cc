// What both displays tell, and the choice between them.
#include "cli/display.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "cli/trial_text.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

const char* metric_of(const Study& study) { return study.experiment().objectives.front().metric.c_str(); }

}  // namespace

NewsReader::News NewsReader::read(const Study& study) {
  News news;
  told_.resize(study.trials().size(), false);
  for (const Trial& trial : study.trials()) {
    const auto index = static_cast<std::size_t>(trial.number);
    if (has_ended(trial.state) && !told_[index]) {
      told_[index] = true;
      news.ended.push_back(trial.number);
    }
  }
  if (const auto best = study.best_trial()) {
    const double value = study.trials()[static_cast<std::size_t>(*best)].values.front();
    if (!best_ || value < *best_) {
      best_ = value;
      news.best = best;
    }
  }
  return std::exchange(first_, false) ? News{} : news;
}

std::string describe_ended(const Study& study, int trial) {
  const Trial& found = study.trials()[static_cast<std::size_t>(trial)];
  const TrialRecord& record = study.records()[static_cast<std::size_t>(trial)];
  const int epochs = trained_epochs(study, trial);
  std::string line = fmt::format("trial {} {} after {} epoch{}", trial, to_string(found.state), epochs,
                                 epochs == 1 ? "" : "s");
  if (const auto value = user_value(study, trial)) {
    line += fmt::format(": {} {}", metric_of(study), format_value(*value));
  }
  const bool troubled = found.state == TrialState::failed || found.state == TrialState::invalid;
  if (troubled && !record.message.empty()) {
    line += ": " + record.message;
  }
  return line + "  " + describe_point(study, trial);
}

std::string describe_best(const Study& study, int trial) {
  const int epoch = study.records()[static_cast<std::size_t>(trial)].best_epoch;
  return fmt::format("best so far: trial {}, {} {} at epoch {}  {}", trial, metric_of(study),
                     format_value(user_value(study, trial).value_or(0)), epoch, describe_point(study, trial));
}

std::unique_ptr<Display> make_display(std::FILE* stream, const Clock& clock) {
  const char* terminal = std::getenv("TERM");
  // mpirun gives its ranks a terminal of its own, whatever their output goes to in the end.
  const bool live = ::isatty(::fileno(stream)) != 0 && terminal != nullptr &&
                    std::string_view(terminal) != "dumb" && !started_by_mpi();
  return live ? make_live_display(stream, clock) : make_plain_display(stream, clock);
}

}  // namespace regatta
