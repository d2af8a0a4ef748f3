// Columns v0, v1, … are values; all others but the id are parameters.
#include "benchmarks/search/curve_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "data/csv.h"

namespace regatta {
namespace {

constexpr std::array kLogColumns = {"learning_rate", "epsilon",           "l1",         "l2",
                                    "linear_decay",  "exponential_decay", "batch_size", "max_units"};
constexpr std::array kComplementColumns = {"beta1", "beta2"};  // 1 - beta, logarithmic

template <class Names>
bool is_in(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_value(const std::string& column) {
  return column.size() > 1 && column.front() == 'v' &&
         std::all_of(column.begin() + 1, column.end(), [](char c) { return c >= '0' && c <= '9'; });
}

double number_of(const CsvTable& csv, std::size_t row, std::size_t column) {
  return parse_number(csv.raw(row, column)).value_or(std::numeric_limits<double>::quiet_NaN());
}

Parameter choice_parameter(const CsvTable& csv, std::size_t column, std::vector<double>& codes) {
  ChoiceDomain domain;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    const Value value = csv.text(row, column);
    const auto found = std::find(domain.choices.begin(), domain.choices.end(), value);
    codes.push_back(static_cast<double>(found - domain.choices.begin()));
    if (found == domain.choices.end()) {
      domain.choices.push_back(value);
    }
  }
  return {.name = csv.column_names()[column], .domain = std::move(domain), .when = {}, .place = {}};
}

Parameter number_parameter(const CsvTable& csv, std::size_t column, std::vector<double>& values) {
  const std::string& name = csv.column_names()[column];
  const bool complement = is_in(kComplementColumns, name);
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    const double value = number_of(csv, row, column);
    values.push_back(complement ? 1 - value : value);
  }
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const FloatDomain domain{
      .low = *low, .high = *high, .log = complement || is_in(kLogColumns, name), .step = {}};
  return {.name = name, .domain = domain, .when = {}, .place = {}};
}

void read_parameters(const CsvTable& csv, CurveTable& table) {
  std::vector<Parameter> parameters;
  table.points.resize(csv.rows());
  for (std::size_t column = 0; column < csv.columns(); ++column) {
    const std::string& name = csv.column_names()[column];
    if (name == "id" || is_value(name)) {
      continue;
    }
    std::vector<double> values;
    const bool numbers = parse_number(csv.raw(0, column)).has_value();
    parameters.push_back(numbers ? number_parameter(csv, column, values)
                                 : choice_parameter(csv, column, values));
    for (std::size_t row = 0; row < csv.rows(); ++row) {
      table.points[row].emplace_back(values[row]);
    }
  }
  table.space = Space(std::move(parameters));
}

void read_curves(const CsvTable& csv, CurveTable& table) {
  table.curves.resize(csv.rows());
  table.best = std::numeric_limits<double>::infinity();
  std::vector<double> finals;
  for (std::size_t row = 0; row < csv.rows(); ++row) {
    bool untrained = true;
    for (std::size_t column = 0; column < csv.columns(); ++column) {
      if (!is_value(csv.column_names()[column])) {
        continue;
      }
      const double value = number_of(csv, row, column);
      table.best = value < table.best ? value : table.best;
      if (!untrained) {
        table.curves[row].push_back(value);
      }
      untrained = false;
    }
    if (!table.curves[row].empty() && !std::isnan(table.curves[row].back())) {
      finals.push_back(table.curves[row].back());
    }
  }
  table.max_epochs = static_cast<int>(table.curves.front().size());
  std::sort(finals.begin(), finals.end());
  const std::size_t middle = finals.size() / 2;
  table.median_final = finals.size() % 2 == 1 ? finals[middle] : (finals[middle - 1] + finals[middle]) / 2;
}

}  // namespace

Result<CurveTable> read_curve_table(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, read_file(path));
  ASSIGN_OR_RETURN(const CsvTable csv, parse_csv(std::move(text), path));
  CurveTable table{.name = std::filesystem::path(path).stem().string()};
  read_parameters(csv, table);
  read_curves(csv, table);
  if (table.max_epochs < 1) {
    return user_mistake(fmt::format("{}: expected columns v0, v1, … of values", path));
  }
  return table;
}

}  // namespace regatta
