// Reading columns and targets of a CSV table.
#include "data/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "base/progress.h"
#include "base/text.h"

namespace regatta {
namespace {

constexpr std::size_t kMostCategories = 1000;
constexpr std::size_t kMostIntegerClasses = 20;

bool is_missing(std::string_view text) {
  return text.empty() || text == "NA" || text == "N/A" || text == "null" || text == "?";
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

Result<std::size_t> find_column(const CsvTable& csv, const ColumnName& name) {
  const auto& names = csv.column_names();
  if (const auto found = std::ranges::find(names, name.text); found != names.end()) {
    return static_cast<std::size_t>(found - names.begin());
  }
  const auto columns = static_cast<std::int64_t>(names.size());
  if (const auto index = parse_integer(name.text)) {
    if (*index >= -columns && *index < columns) {
      return static_cast<std::size_t>(*index < 0 ? *index + columns : *index);
    }
    return mistake_at(name.place, fmt::format("column {}: {} has {} columns, numbered from 0", *index,
                                              csv.file_name(), columns));
  }
  return mistake_at(name.place, fmt::format("no column '{}' in {}{}", name.text, csv.file_name(),
                                            did_you_mean(name.text, names)));
}

Result<std::vector<std::size_t>> find_columns(const CsvTable& csv, const std::vector<ColumnName>& names) {
  std::vector<std::size_t> columns;
  for (const ColumnName& name : names) {
    ASSIGN_OR_RETURN(const std::size_t column, find_column(csv, name));
    if (std::ranges::find(columns, column) != columns.end()) {
      return mistake_at(name.place, fmt::format("column '{}' is listed twice", name.text));
    }
    columns.push_back(column);
  }
  return columns;
}

struct ColumnRoles {
  std::vector<std::size_t> inputs;
  std::vector<std::size_t> targets;
  std::vector<std::size_t> categorical;
};

Result<ColumnRoles> find_roles(const CsvTable& csv, const TableOptions& options) {
  ColumnRoles roles;
  ASSIGN_OR_RETURN(roles.targets, find_columns(csv, options.targets));
  ASSIGN_OR_RETURN(roles.inputs, find_columns(csv, options.columns));
  ASSIGN_OR_RETURN(roles.categorical, find_columns(csv, options.categorical));
  const auto contains = [](const std::vector<std::size_t>& columns, std::size_t column) {
    return std::ranges::find(columns, column) != columns.end();
  };
  for (std::size_t i = 0; i < roles.inputs.size(); ++i) {
    if (contains(roles.targets, roles.inputs[i])) {
      return mistake_at(
          options.columns[i].place,
          fmt::format("column '{}' is the target; it cannot be an input too", options.columns[i].text));
    }
  }
  for (std::size_t column = 0; options.columns.empty() && column < csv.columns(); ++column) {
    if (!contains(roles.targets, column)) {
      roles.inputs.push_back(column);
    }
  }
  if (roles.inputs.empty()) {
    return mistake_at({csv.file_name()}, "there are no columns beside the target");
  }
  for (std::size_t i = 0; i < roles.categorical.size(); ++i) {
    if (!contains(roles.inputs, roles.categorical[i])) {
      return mistake_at(options.categorical[i].place,
                        fmt::format("column '{}' is not one of the inputs", options.categorical[i].text));
    }
  }
  return roles;
}

// The rows that count. Under `mean` they may have missing inputs; nothing else is missing in them.
Result<std::vector<std::size_t>> rows_to_read(const CsvTable& csv, const ColumnRoles& roles,
                                              MissingRule rule) {
  std::vector<std::size_t> rows;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    note_progress();
    const auto missing = [&](std::size_t column) { return is_missing(csv.raw(row, column)); };
    const auto target = std::ranges::find_if(roles.targets, missing);
    const auto input = std::ranges::find_if(roles.inputs, missing);
    const bool complete = target == roles.targets.end() && input == roles.inputs.end();
    if (target != roles.targets.end() && rule != MissingRule::drop) {
      return mistake_at(csv.place(row, *target),
                        "the target is missing in this row; `missing: drop` leaves such "
                        "rows out");
    }
    if (!complete && rule == MissingRule::error) {
      return mistake_at(csv.place(row, *input),
                        fmt::format("column '{}' has a missing cell; choose `missing: mean` (fill in) or "
                                    "`missing: drop` (leave the row out)",
                                    csv.column_names()[*input]));
    }
    if (complete || rule == MissingRule::mean) {
      rows.push_back(row);
    }
  }
  if (rows.empty()) {
    return mistake_at({csv.file_name()}, "no row is complete: `missing: drop` leaves nothing");
  }
  return rows;
}

Result<float> read_float(const CsvTable& csv, std::size_t row, std::size_t column) {
  const std::string_view text = csv.raw(row, column);
  const auto number = parse_number(text);
  if (!number) {
    return mistake_at(csv.place(row, column), fmt::format("'{}' is not a number", text));
  }
  if (!std::isfinite(*number)) {
    return mistake_at(csv.place(row, column),
                      fmt::format("'{}' is not a finite number; leave a missing cell empty", text));
  }
  return static_cast<float>(*number);
}

// Numbers in their order before everything else, then texts in theirs.
struct CategoryOrder {
  bool operator()(const std::string& a, const std::string& b) const {
    const double infinity = std::numeric_limits<double>::infinity();
    const auto key = [&](const std::string& text) {
      const auto number = parse_number(text);
      return number && !std::isnan(*number) ? *number : infinity;
    };
    const double key_a = key(a);
    const double key_b = key(b);
    return key_a != key_b ? key_a < key_b : a < b;
  }
};

// Categories of a column's rows; missing cells get the code -1.
void read_categories(const CsvTable& csv, std::size_t column, const std::vector<std::size_t>& rows,
                     std::vector<std::string>& categories, std::vector<std::int32_t>& codes) {
  std::map<std::string, std::int32_t, std::less<>> code_of;
  for (const std::size_t row : rows) {
    if (!is_missing(csv.raw(row, column))) {
      code_of.emplace(csv.text(row, column), 0);
    }
  }
  for (const auto& [text, code] : code_of) {
    categories.push_back(text);
  }
  std::ranges::sort(categories, CategoryOrder());
  for (std::size_t i = 0; i < categories.size(); ++i) {
    code_of[categories[i]] = static_cast<std::int32_t>(i);
  }
  for (const std::size_t row : rows) {
    codes.push_back(is_missing(csv.raw(row, column)) ? -1 : code_of.find(csv.text(row, column))->second);
  }
}

// Whether no cell of the column is a number. A column that mixes numbers and texts is a mistake: more often a
// damaged number than a category.
Result<bool> holds_texts(const CsvTable& csv, std::size_t column, const std::vector<std::size_t>& rows) {
  std::optional<std::size_t> number;
  std::optional<std::size_t> text;
  for (const std::size_t row : rows) {
    const std::string_view cell = csv.raw(row, column);
    if (!is_missing(cell)) {
      (parse_number(cell) ? number : text) = row;
    }
    if (number && text) {
      return mistake_at(csv.place(*text, column),
                        fmt::format("'{}' is not a number, but others in column '{}' are ('{}' in line {}); "
                                    "correct it, or list the column under `categorical:`",
                                    csv.raw(*text, column), csv.column_names()[column],
                                    csv.raw(*number, column), csv.place(*number, column).line));
    }
  }
  if (!number && !text) {
    return mistake_at(csv.place(rows.front(), column),
                      fmt::format("column '{}' has no value at all; leave it out with `columns:`",
                                  csv.column_names()[column]));
  }
  return text.has_value();
}

Result<TableColumn> read_input(const CsvTable& csv, std::size_t column, const std::vector<std::size_t>& rows,
                               bool listed_as_categorical) {
  TableColumn input{.name = csv.column_names()[column]};
  bool categorical = listed_as_categorical;
  if (!listed_as_categorical) {
    ASSIGN_OR_RETURN(categorical, holds_texts(csv, column, rows));
  }
  if (categorical) {
    read_categories(csv, column, rows, input.categories, input.codes);
    if (input.categories.empty() || input.categories.size() > kMostCategories) {
      return mistake_at(
          csv.place(rows.front(), column),
          fmt::format("column '{}' has {} different texts; 1 to {} can be categories. Leave it out "
                      "with `columns:`",
                      input.name, input.categories.size(), kMostCategories));
    }
    return input;
  }
  for (const std::size_t row : rows) {
    note_progress();
    float number = std::numeric_limits<float>::quiet_NaN();
    if (!is_missing(csv.raw(row, column))) {
      ASSIGN_OR_RETURN(number, read_float(csv, row, column));
    }
    input.numbers.push_back(number);
  }
  return input;
}

Task task_of_target(const CsvTable& csv, std::size_t column, const std::vector<std::size_t>& rows) {
  std::map<std::int64_t, bool> integers;
  for (const std::size_t row : rows) {
    const std::string_view text = csv.raw(row, column);
    const auto integer = parse_integer(text);
    if (!integer) {
      return parse_number(text) ? Task::regression : Task::classification;
    }
    integers[*integer] = true;
    if (integers.size() > kMostIntegerClasses) {
      return Task::regression;
    }
  }
  return integers.size() * 2 <= rows.size() ? Task::classification : Task::regression;
}

Status read_labels(const CsvTable& csv, const ColumnRoles& roles, const TableOptions& options,
                   const std::vector<std::size_t>& rows, Table& table) {
  if (roles.targets.size() > 1) {
    return mistake_at(options.targets[1].place, "classification has one target column");
  }
  const std::size_t column = roles.targets.front();
  read_categories(csv, column, rows, table.class_names, table.labels);
  const std::string& name = csv.column_names()[column];
  if (table.class_names.size() < 2) {
    return mistake_at(csv.place(rows.front(), column),
                      fmt::format("the target '{}' is '{}' in every row; there must be at least 2 classes",
                                  name, table.class_names.front()));
  }
  for (const std::size_t row : rows) {
    const auto number = parse_number(csv.raw(row, column));
    if (number && !std::isfinite(*number)) {
      return mistake_at(csv.place(row, column), fmt::format("the target '{}' is '{}', which is no class",
                                                            name, csv.raw(row, column)));
    }
  }
  return {};
}

}  // namespace

Result<Table> read_table(const CsvTable& csv, const TableOptions& options) {
  CHECK(!options.targets.empty());
  ASSIGN_OR_RETURN(const ColumnRoles roles, find_roles(csv, options));
  ASSIGN_OR_RETURN(const auto rows, rows_to_read(csv, roles, options.missing));
  Table table;
  table.rows = static_cast<std::int64_t>(rows.size());
  for (const std::size_t column : roles.inputs) {
    const bool listed = std::ranges::find(roles.categorical, column) != roles.categorical.end();
    ASSIGN_OR_RETURN(TableColumn input, read_input(csv, column, rows, listed));
    table.inputs.push_back(std::move(input));
  }
  table.task = options.task               ? *options.task
               : roles.targets.size() > 1 ? Task::regression
                                          : task_of_target(csv, roles.targets.front(), rows);
  if (table.task == Task::classification) {
    RETURN_IF_ERROR(read_labels(csv, roles, options, rows, table));
    return table;
  }
  for (const std::size_t column : roles.targets) {
    table.target_names.push_back(csv.column_names()[column]);
  }
  for (const std::size_t row : rows) {
    note_progress();
    for (const std::size_t column : roles.targets) {
      ASSIGN_OR_RETURN(const float target, read_float(csv, row, column));
      table.targets.push_back(target);
    }
  }
  return table;
}

}  // namespace regatta
