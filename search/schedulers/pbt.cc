// A place in the population passes from trial to trial until one of them has trained to max_epochs.
#include "search/schedulers/pbt.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/check.h"
#include "base/random.h"
#include "search/schedulers/ladder.h"
#include "search/schedulers/perturb.h"
#include "search/schedulers/ranked_rung.h"

namespace regatta {
namespace {

struct PbtOptions {
  int max_epochs = 1;
  int population = 8;
  int interval = 1;
  double quantile = 0.25;
  PerturbOptions perturb;
};

class Pbt final : public Scheduler {
 public:
  Pbt(PbtOptions options, const SearchContext& context)
      : options_(std::move(options)),
        space_(context.space),
        random_(context.seed, "population based training"),
        newcomers_(options_.population) {}

  Assignment next() const override;
  void started(const Trial& trial, const Assignment& assignment) override;
  Ruling reported(const Trial& trial) override;
  std::vector<int> ended(const Trial& trial) override;
  std::vector<int> closed() override;

  std::vector<RungPlan> plan() const override;
  int max_epochs() const override { return options_.max_epochs; }
  // Each place may pass on at the end of each interval.
  int trials_per_round() const override {
    return options_.population * ((options_.max_epochs + options_.interval - 1) / options_.interval);
  }

 private:
  struct Member {
    Point point;
    bool running = true;
    int granted = 0;
    int epoch = 0;      // of the latest report, or of the checkpoint that it began with
    Objectives values;  // latest; empty: none yet
  };

  int end_of_interval(int epoch) const {
    return std::min((epoch / options_.interval + 1) * options_.interval, options_.max_epochs);
  }
  std::vector<int> ranking() const;
  std::size_t share(std::size_t trials) const {
    return static_cast<std::size_t>(std::floor(options_.quantile * static_cast<double>(trials)));
  }
  bool is_poor(int trial) const;
  std::optional<StartTrial> successor() const;
  const std::pair<const int, Member>* next_paused() const;
  void leave(int trial, bool finished);

  PbtOptions options_;
  const Space* space_;
  Random random_;
  std::map<int, Member> members_;       // running and paused ones
  std::map<int, Objectives> finished_;  // last values of those that trained to the end
  int newcomers_;                       // places that no trial has taken yet
  int vacancies_ = 0;                   // places that wait for a successor
  std::uint64_t successors_ = 0;        // so far
  bool closed_ = false;
};

Assignment Pbt::next() const {
  if (!closed_ && newcomers_ > 0) {
    return StartTrial{.bracket = 0, .until_epoch = end_of_interval(0), .point = {}, .parent = {}};
  }
  if (!closed_ && vacancies_ > 0) {
    if (auto start = successor()) {
      return *std::move(start);
    }
  }
  if (const auto* paused = next_paused()) {
    return ResumeTrial{.trial = paused->first, .until_epoch = end_of_interval(paused->second.epoch)};
  }
  if (!members_.empty()) {
    return WaitForReports{};
  }
  if (closed_) {
    return NothingLeft{};
  }
  // Nobody is left to learn from: the next population begins.
  return StartTrial{.bracket = 0, .until_epoch = end_of_interval(0), .point = {}, .parent = {}};
}

// One of the best members that still train: the checkpoints of ended trials may be gone.
std::optional<StartTrial> Pbt::successor() const {
  std::vector<int> candidates = ranking();
  std::erase_if(candidates, [this](int each) { return !members_.contains(each); });
  if (candidates.empty()) {
    return std::nullopt;
  }
  const Random random = random_.substream(successors_);
  const std::size_t best = std::max<std::size_t>(1, share(candidates.size()));
  const int parent = candidates[random.below(0, best)];
  const Member& member = members_.at(parent);
  return StartTrial{.bracket = 0,
                    .until_epoch = end_of_interval(member.epoch),
                    .point = perturb(*space_, member.point, options_.perturb, random.substream(1)),
                    .parent = parent};
}

void Pbt::started(const Trial& trial, const Assignment& assignment) {
  if (const auto* resume = std::get_if<ResumeTrial>(&assignment)) {
    Member& member = members_.at(trial.number);
    CHECK(!member.running);
    member.running = true;
    member.granted = resume->until_epoch;
    return;
  }
  const auto& start = std::get<StartTrial>(assignment);
  if (newcomers_ == 0 && members_.empty()) {
    newcomers_ = options_.population;
    vacancies_ = 0;
    finished_.clear();
  }
  if (start.parent) {
    ++successors_;
  }
  --(newcomers_ > 0 ? newcomers_ : vacancies_);
  const int epoch = start.parent && members_.contains(*start.parent) ? members_.at(*start.parent).epoch : 0;
  const Member member{
      .point = trial.point, .running = true, .granted = start.until_epoch, .epoch = epoch, .values = {}};
  CHECK(members_.emplace(trial.number, member).second, "a trial starts once");
}

Ruling Pbt::reported(const Trial& trial) {
  Member& member = members_.at(trial.number);
  member.epoch = trial.scores.back().epoch;
  member.values = trial.scores.back().values;
  if (member.epoch >= options_.max_epochs) {
    finished_[trial.number] = member.values;
    leave(trial.number, true);
    return {.verdict = {.action = Verdict::Action::complete}};
  }
  if (member.epoch < member.granted) {
    return {.verdict = {.action = Verdict::Action::go_on, .until_epoch = member.granted}};
  }
  if (!closed_ && is_poor(trial.number)) {
    leave(trial.number, false);
    return {.verdict = {.action = Verdict::Action::stop}};
  }
  const auto* paused = next_paused();
  const bool others_wait = !closed_ && (newcomers_ > 0 || vacancies_ > 0);
  if (others_wait || (paused != nullptr && paused->second.epoch < member.epoch)) {
    member.running = false;
    return {.verdict = {.action = Verdict::Action::pause}};
  }
  member.granted = end_of_interval(member.epoch);
  return {.verdict = {.action = Verdict::Action::go_on, .until_epoch = member.granted}};
}

// The latest values of all that have one, those that trained to the end among them.
std::vector<int> Pbt::ranking() const {
  std::map<int, Objectives> values = finished_;
  for (const auto& [number, member] : members_) {
    if (!member.values.empty()) {
      values[number] = member.values;
    }
  }
  return ranked_trials(values);
}

// One that has nobody to learn from but itself is kept.
bool Pbt::is_poor(int trial) const {
  const std::vector<int> all = ranking();
  const auto at = std::find(all.begin(), all.end(), trial);
  const bool others = std::any_of(all.begin(), at, [&](int better) { return members_.contains(better); });
  return others && static_cast<std::size_t>(all.end() - at) <= share(all.size());
}

const std::pair<const int, Pbt::Member>* Pbt::next_paused() const {
  const std::pair<const int, Member>* next = nullptr;
  for (const auto& each : members_) {
    if (!each.second.running && (next == nullptr || each.second.epoch < next->second.epoch)) {
      next = &each;
    }
  }
  return next;
}

void Pbt::leave(int trial, bool finished) {
  members_.erase(trial);
  vacancies_ += finished ? 0 : 1;
}

std::vector<int> Pbt::ended(const Trial& trial) {
  const auto found = members_.find(trial.number);
  if (found == members_.end()) {
    return {};
  }
  const bool complete = trial.state == TrialState::complete;
  if (complete && !found->second.values.empty()) {
    finished_[trial.number] = found->second.values;
  }
  leave(trial.number, complete);
  return {};
}

std::vector<int> Pbt::closed() {
  closed_ = true;
  return {};
}

std::vector<RungPlan> Pbt::plan() const {
  std::vector<RungPlan> rungs;
  for (int epoch = end_of_interval(0);; epoch = end_of_interval(epoch)) {
    rungs.push_back({.bracket = 0, .epochs = epoch, .trials = options_.population});
    if (epoch >= options_.max_epochs) {
      return rungs;
    }
  }
}

constexpr std::int64_t kMaxPopulation = 1000;

std::vector<std::size_t> read_perturbed(Section& section, const Space& space) {
  std::vector<std::size_t> parameters;
  const auto names = section.texts("perturb", std::vector<std::string>{});
  for (const std::string& name : names) {
    if (const auto index = space.index_of(name)) {
      parameters.push_back(*index);
    } else {
      section.mistake(section.child("perturb")->place(), "'" + name + "' is no parameter of the space");
    }
  }
  if (section.child("perturb") == nullptr) {
    for (std::size_t i = 0; i < space.size(); ++i) {
      parameters.push_back(i);
    }
  }
  return parameters;
}

}  // namespace

Result<std::unique_ptr<Scheduler>> make_pbt(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the pbt scheduler");
  PbtOptions options;
  options.max_epochs = static_cast<int>(section.integer("max_epochs", {.min = 1, .max = kMaxEpochsLimit}));
  options.population =
      static_cast<int>(section.integer("population", {.fallback = 8, .min = 2, .max = kMaxPopulation}));
  options.interval = static_cast<int>(section.integer(
      "interval", {.fallback = std::max(1, options.max_epochs / 10), .min = 1, .max = kMaxEpochsLimit}));
  options.quantile = section.number("quantile", {.fallback = 0.25, .min = 0, .max = 0.5});
  options.perturb.resample = section.number("resample", {.fallback = 0.25, .min = 0, .max = 1});
  options.perturb.parameters = read_perturbed(section, *context.space);
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(std::make_unique<Pbt>(std::move(options), context));
}

}  // namespace regatta
