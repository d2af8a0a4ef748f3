// What a trial's program and its crew say to each other, line by line.
//
//   program, on its standard output, after each epoch, once its state is saved:
//     {"epoch": 3, "val_loss": 0.41, "val_accuracy": 0.87}
//   crew, on the program's standard input, on every rank, once for each report of rank 0:
//     {"decision": "continue"}    train the next epoch
//     {"decision": "stop"}        exit; the trial may go on later from the state saved before the report
//     {"decision": "pause"}       the same: the whole study is being interrupted
//
// Every other line is output for people.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "models/metrics.h"

namespace regatta {

struct ProgramReport {
  int epoch = 0;         // from 1
  MetricValues metrics;  // the numbers of the line; NaN where it said NaN, Infinity or null
};

// nullopt: a line for people. An error: a report that cannot be used.
Result<std::optional<ProgramReport>> parse_program_line(std::string_view line);

enum class ProgramAnswer { go_on, stop, pause };
std::string answer_line(ProgramAnswer answer);

}  // namespace regatta
