// An event queue of epochs under way. Epochs that end together are reported in the order in which they began.
#include "benchmarks/search/table_run.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "base/random.h"
#include "search/sampler.h"
#include "search/scheduler.h"

namespace regatta {
namespace {

class TableRun {
 public:
  TableRun(const CurveTable& table, const TableOptions& options, std::uint64_t seed, Sampler& sampler,
           Scheduler& scheduler, bool random_rows)
      : table_(table),
        options_(options),
        sampler_(sampler),
        scheduler_(scheduler),
        random_rows_(random_rows),
        order_(table.points.size(), Random(seed, "benchmark rows")) {
    for (const Point& point : table.points) {
      units_.push_back(table.space.to_unit(point));
      taken_.push_back(false);
    }
  }

  std::vector<double> run() {
    const auto epochs = static_cast<std::size_t>(options_.budget * table_.max_epochs);
    while (best_.size() < epochs) {
      while (static_cast<int>(running_.size()) < options_.workers && assign()) {
      }
      if (running_.empty()) {
        break;  // nothing is left
      }
      const int trial = running_.front();
      running_.pop_front();
      report(trial);
    }
    best_.resize(epochs, best_.empty() ? std::numeric_limits<double>::infinity() : best_.back());
    return std::move(best_);
  }

 private:
  Trial& trial(int number) { return trials_[static_cast<std::size_t>(number)]; }
  int reached(int number) { return trial(number).scores.empty() ? 0 : trial(number).scores.back().epoch; }

  // Whether a worker got something to do.
  bool assign() {
    const Assignment next = scheduler_.next();
    if (const auto* resume = std::get_if<ResumeTrial>(&next)) {
      begin(resume->trial, next, resume->until_epoch);
      return true;
    }
    const auto* start = std::get_if<StartTrial>(&next);
    if (start == nullptr) {
      return false;
    }
    if (trials_.size() == table_.points.size() || !propose(*start)) {
      drop(scheduler_.closed());
      return assign();
    }
    begin(static_cast<int>(trials_.size()) - 1, next, start->until_epoch);
    return true;
  }

  bool propose(const StartTrial& start) {
    const int number = static_cast<int>(trials_.size());
    std::size_t row = 0;
    std::optional<Point> point = start.point;
    if (!point && random_rows_) {
      while (taken_[order_[tried_]]) {
        ++tried_;
      }
      row = order_[tried_];
      point = table_.points[row];
    } else {
      if (!point) {
        point = sampler_.propose(trials_, number);
      }
      if (!point) {
        return false;
      }
      row = nearest(table_.space.to_unit(*point));
    }
    taken_[row] = true;
    rows_.push_back(row);
    granted_.push_back(0);
    const bool inherits = start.parent && !trial(*start.parent).scores.empty();
    begins_.push_back(inherits ? trial(*start.parent).scores.back().epoch : 0);
    trials_.push_back({.number = number, .point = *std::move(point)});
    return true;
  }

  std::size_t nearest(const std::vector<double>& unit) const {
    double least = std::numeric_limits<double>::infinity();
    std::size_t nearest = 0;
    for (std::size_t row = 0; row < units_.size(); ++row) {
      double distance = 0;
      for (std::size_t i = 0; i < unit.size(); ++i) {
        const double difference = unit[i] - units_[row][i];
        const bool choice = std::holds_alternative<ChoiceDomain>(table_.space.parameters()[i].domain);
        distance += choice ? (difference == 0 ? 0 : 1) : difference * difference;
      }
      if (!taken_[row] && distance < least) {
        least = distance;
        nearest = row;
      }
    }
    return nearest;
  }

  void begin(int number, const Assignment& assignment, int until_epoch) {
    trial(number).state = TrialState::running;
    granted_[static_cast<std::size_t>(number)] = until_epoch;
    scheduler_.started(trial(number), assignment);
    running_.push_back(number);
  }

  void report(int number) {
    const auto index = static_cast<std::size_t>(number);
    Trial& reporting = trial(number);
    const int epoch = std::max(reached(number), begins_[index]) + 1;
    const double value = table_.curves[rows_[index]][static_cast<std::size_t>(epoch) - 1];
    const double before = best_.empty() ? std::numeric_limits<double>::infinity() : best_.back();
    best_.push_back(value < before ? value : before);
    if (std::isnan(value)) {
      reporting.state = TrialState::failed;
      drop(scheduler_.ended(reporting));
      return;
    }
    reporting.scores.push_back({.epoch = epoch, .values = {value}});
    reporting.values = {reporting.values.empty() ? value : std::min(value, reporting.values.front())};
    const Ruling ruling = scheduler_.reported(reporting);
    using enum Verdict::Action;
    if (ruling.verdict.action == go_on) {
      granted_[index] = ruling.verdict.until_epoch;
      running_.push_back(number);
    } else {
      reporting.state = ruling.verdict.action == pause  ? TrialState::paused
                        : ruling.verdict.action == stop ? TrialState::stopped
                                                        : TrialState::complete;
    }
    drop(ruling.dropped);
  }

  void drop(const std::vector<int>& dropped) {
    for (const int number : dropped) {
      trial(number).state = TrialState::stopped;
    }
  }

  const CurveTable& table_;
  const TableOptions& options_;
  Sampler& sampler_;
  Scheduler& scheduler_;
  bool random_rows_;
  Permutation order_;
  std::uint64_t tried_ = 0;  // of order_
  std::vector<std::vector<double>> units_;
  std::vector<bool> taken_;
  std::vector<Trial> trials_;
  std::vector<std::size_t> rows_;  // by trial, like the next two
  std::vector<int> granted_;
  std::vector<int> begins_;  // the epoch of the parent's checkpoint
  std::deque<int> running_;
  std::vector<double> best_;
};

// A max_epochs that is not given is the table's, but for schedulers that have no such option or need none.
Result<Typed> scheduler_config(const std::string& text, int max_epochs) {
  ASSIGN_OR_RETURN(const Node node, parse_yaml(text, "--scheduler"));
  ASSIGN_OR_RETURN(Typed config, read_typed(node, "scheduler"));
  if (text.find("max_epochs") != std::string::npos) {
    return config;
  }
  const std::string place = "--scheduler";
  const std::string options = text.find('{') == std::string::npos ? "{type: " + text + "}" : text;
  const auto end = options.rfind('}');
  const std::string complete = options.substr(0, end) + ", max_epochs: " + std::to_string(max_epochs) + "}";
  ASSIGN_OR_RETURN(const Node completed, parse_yaml(complete, place));
  return read_typed(completed, "scheduler");
}

}  // namespace

Result<std::vector<double>> incumbents(const CurveTable& table, const TableOptions& options,
                                       std::uint64_t seed) {
  ASSIGN_OR_RETURN(const Node sampler_node, parse_yaml(options.sampler, "--sampler"));
  ASSIGN_OR_RETURN(const Typed sampler_config, read_typed(sampler_node, "sampler"));
  ASSIGN_OR_RETURN(const Typed scheduler_typed, scheduler_config(options.scheduler, table.max_epochs));
  const SearchContext context{.space = &table.space, .seed = seed, .objectives = 1, .earlier = {}};
  ASSIGN_OR_RETURN(const auto sampler, make_sampler(sampler_config, context));
  ASSIGN_OR_RETURN(const auto scheduler, make_scheduler(scheduler_typed, context));
  return TableRun(table, options, seed, *sampler, *scheduler, sampler_config.type == "random").run();
}

}  // namespace regatta
