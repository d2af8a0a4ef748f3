// Trials in the words of the user: values in the objective's own direction, numbers in a fixed width.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/study.h"

namespace regatta {

// What the trial counts for by the first objective, as the user measures it; nullopt before its first report.
std::optional<double> user_value(const Study& study, int trial);
// The same by every objective, with its metric's name; empty before the first report.
Metrics user_values(const Study& study, int trial);

std::string format_value(double value);              // "0.90215"
std::string format_metrics(const Metrics& metrics);  // "accuracy 0.9021, loss 0.2711"

// The metrics reported at the trial's best epoch; empty before the first report.
Metrics best_metrics(const Study& study, int trial);

// The best trial's on the test data; empty where there are none, or before they were used.
Metrics test_metrics(const Study& study);

int trained_epochs(const Study& study, int trial);
// "{lr: 0.01, width: 32}", numbers to four digits: --json and --csv have them in full.
std::string describe_point(const Study& study, int trial);

// Ended trials with a value, the best first: complete ones before stopped ones.
std::vector<int> ranking(const Study& study);

struct TrialCounts {
  int waiting = 0;
  int running = 0;
  int paused = 0;
  int complete = 0;
  int stopped = 0;
  int failed = 0;
  int invalid = 0;
  int ended() const { return complete + stopped + failed + invalid; }
};
TrialCounts count_trials(const Study& study);
std::string describe(const TrialCounts& counts);  // "3 running, 2 paused, 11 stopped"

}  // namespace regatta
