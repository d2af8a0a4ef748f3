// Crews with random speeds and faults that drive a scheduler through a whole study, and record every fact.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "search/scheduler.h"

namespace regatta {

struct CrewsOptions {
  int crews = 4;
  int trials = 100;  // then the scheduler is closed; invalid ones do not count
  std::uint64_t seed = 0;
  double failure_rate = 0;     // of reports: the trial fails instead
  double completion_rate = 0;  // of reports: the trial ends on its own after it
  double invalid_rate = 0;     // of new trials
  int report_every = 1;        // epochs
};

struct Asked {
  Assignment answer;
};
struct Started {
  Trial trial;
  Assignment assignment;
};
struct Reported {
  Trial trial;
  Ruling ruling;
};
struct Ended {
  Trial trial;
};
struct Closed {};
using Fact = std::variant<Asked, Started, Reported, Ended, Closed>;

struct Regatta {
  std::vector<Trial> trials;
  std::vector<int> brackets;                // by trial
  std::vector<std::optional<int>> parents;  // by trial
  std::vector<Fact> facts;                  // in the order in which the scheduler was told
  bool finished = false;                    // the scheduler said NothingLeft
};

// Fails the running test where the scheduler breaks its contract. Values repeat, so that ties are met.
Regatta run_crews(Scheduler& scheduler, const CrewsOptions& options);

// Tells a fresh scheduler the same facts and compares its answers.
void expect_same_answers(Scheduler& scheduler, const std::vector<Fact>& facts);

std::string to_string(const Assignment& assignment);
Typed typed(const std::string& yaml);  // "{type: asha, max_epochs: 9}"
SearchContext one_parameter();         // {x: {float: [0, 1]}}; lives as long as the tests
std::unique_ptr<Scheduler> scheduler_from(const std::string& yaml);

}  // namespace regatta
