// No rungs, no memory but the running trials.
#include "search/schedulers/fifo.h"

#include <set>

#include "base/check.h"

namespace regatta {
namespace {

class Fifo final : public Scheduler {
 public:
  explicit Fifo(int max_epochs) : max_epochs_(max_epochs) {}

  Assignment next() const override {
    if (!closed_) {
      return StartTrial{.bracket = 0, .until_epoch = max_epochs_};
    }
    if (!running_.empty()) {
      return WaitForReports{};
    }
    return NothingLeft{};
  }

  void started(const Trial& trial, const Assignment& assignment) override {
    CHECK(std::holds_alternative<StartTrial>(assignment), "fifo pauses no trial");
    running_.insert(trial.number);
  }

  Ruling reported(const Trial& trial) override {
    if (trial.scores.back().epoch >= max_epochs_) {
      running_.erase(trial.number);
      return {.verdict = {.action = Verdict::Action::complete}};
    }
    return {.verdict = {.action = Verdict::Action::go_on, .until_epoch = max_epochs_}};
  }

  std::vector<int> ended(const Trial& trial) override {
    running_.erase(trial.number);
    return {};
  }

  std::vector<int> closed() override {
    closed_ = true;
    return {};
  }

  std::vector<RungPlan> plan() const override { return {{.bracket = 0, .epochs = max_epochs_, .trials = 0}}; }
  int max_epochs() const override { return max_epochs_; }
  int trials_per_round() const override { return 0; }

 private:
  int max_epochs_;
  std::set<int> running_;
  bool closed_ = false;
};

}  // namespace

Result<std::unique_ptr<Scheduler>> make_fifo(const Typed& config, const SearchContext& /*context*/) {
  Section section(config.options, "the fifo scheduler");
  const auto max_epochs =
      section.optional_integer("max_epochs", {.min = 1, .max = kUnlimitedEpochs - std::int64_t{1}});
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(
      std::make_unique<Fifo>(max_epochs ? static_cast<int>(*max_epochs) : kUnlimitedEpochs));
}

}  // namespace regatta
