// A coordinator that decides by a script, for attempts without a network.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "worker/attempt.h"

namespace regatta {

class ScriptedControl final : public AttemptControl {
 public:
  // Begins with `first`; a report of an epoch in `answers` replaces the decision.
  explicit ScriptedControl(Decision first, std::map<int, Decision> answers = {})
      : decision_(first), answers_(std::move(answers)) {}

  std::function<void(int)> on_decide = [](int) {};  // told how often it has been asked, from 1
  std::function<void(const EpochReport&)> on_report = [](const EpochReport&) {};

  Status report(const EpochReport& report) override {
    reports.push_back(report);
    on_report(report);
    if (const auto answer = answers_.find(report.epoch); answer != answers_.end()) {
      decision_ = answer->second;
    }
    return {};
  }

  Result<Decision> decide(std::int64_t, Microseconds) override {
    on_decide(++asked_);
    return decision_;
  }

  void grant(int until_epoch) { decision_.until_epoch = until_epoch; }
  void set(Decision::Action action) { decision_.action = action; }

  std::vector<EpochReport> reports;

 private:
  Decision decision_;
  std::map<int, Decision> answers_;
  int asked_ = 0;
};

}  // namespace regatta
