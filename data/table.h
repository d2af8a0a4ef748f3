// From cells to columns: which are inputs and targets, which of them hold numbers and which categories, and
// which rows count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/csv.h"
#include "data/dataset.h"

namespace regatta {

// A column as the user names it: by its name, or by its number from 0 (from the end if negative: -1 is the
// last).
struct ColumnName {
  std::string text;
  Place place;
};

// A cell is missing if it is empty or one of NA, N/A, null, ?.
enum class MissingRule {
  error,  // a mistake
  mean,   // numbers: the mean of the training split; categories: its most frequent one
  drop,   // the row is left out
};

struct TableOptions {
  std::vector<ColumnName> targets;      // at least one; several only for regression
  std::vector<ColumnName> columns;      // the inputs; empty: all but the targets
  std::vector<ColumnName> categorical;  // inputs that are categories even though they hold numbers
  std::optional<Task> task;             // not given: see Table::task
  MissingRule missing = MissingRule::error;
};

struct TableColumn {
  std::string name;
  std::vector<float> numbers;           // of a numeric column; missing ones are NaN
  std::vector<std::string> categories;  // of a categorical column, sorted; empty: the column is numeric
  std::vector<std::int32_t> codes;      // of a categorical column; missing ones are -1
  bool categorical() const { return !categories.empty(); }
};

struct Table {
  // Classification if the target holds texts, or at most 20 different whole numbers, each at least twice on
  // average.
  Task task = Task::classification;
  std::int64_t rows = 0;
  std::vector<TableColumn> inputs;
  std::vector<std::int32_t> labels;
  std::vector<std::string> class_names;
  std::vector<float> targets;  // row-major
  std::vector<std::string> target_names;
};

// Every mistake is told with its place in the experiment file or in the CSV file.
Result<Table> read_table(const CsvTable& csv, const TableOptions& options);

}  // namespace regatta
