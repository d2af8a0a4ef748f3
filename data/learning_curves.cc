// The section first, then the columns that it names, then row after row.
#include "data/learning_curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/overloaded.h"
#include "base/progress.h"
#include "base/text.h"
#include "data/compressed_file.h"
#include "data/csv.h"
#include "experiment/section.h"

namespace regatta {
namespace {

// The range is 1; values beyond its ends lie beyond 0 and 1. A choice's position is its index.
double position(const Parameter& parameter, double value) {
  const auto between = [&](double low, double high, bool log) {
    if (high <= low) {
      return 0.0;
    }
    return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  };
  return std::visit(
      Overloaded{[&](const FloatDomain& range) { return between(range.low, range.high, range.log); },
                 [&](const IntDomain& range) {
                   return between(static_cast<double>(range.low), static_cast<double>(range.high), range.log);
                 },
                 [&](const ChoiceDomain&) { return value; }},
      parameter.domain);
}

bool is_choice(const Parameter& parameter) { return std::holds_alternative<ChoiceDomain>(parameter.domain); }

// The value in the encoding of Point; nullopt: outside of the parameter's domain.
std::optional<double> encoded(const Parameter& parameter, const std::string& cell, double number) {
  if (const auto* domain = std::get_if<ChoiceDomain>(&parameter.domain)) {
    const Value value = value_of_scalar(cell, false);
    for (std::size_t i = 0; i < domain->choices.size(); ++i) {
      if (same_value(domain->choices[i], value) || plain_text(domain->choices[i]) == cell) {
        return static_cast<double>(i);
      }
    }
    return std::nullopt;
  }
  constexpr double kSlack = 1e-6;  // of the range: tables are rounded
  const double at = position(parameter, number);
  return at >= -kSlack && at <= 1 + kSlack ? std::optional(number) : std::nullopt;
}

}  // namespace

class LearningCurvesReader {
 public:
  LearningCurvesReader(const Experiment& experiment, const Node& node)
      : experiment_(experiment), node_(node), curves_(experiment) {}

  Status read_section() {
    Section section(node_, "table");
    const std::string path = section.text("path");
    untrained_ = section.flag("untrained", false);
    curves_.repeat_ = section.flag("repeat", false);
    cost_ = section.optional_text("cost");
    const Node* values = section.child("values");
    RETURN_IF_ERROR(section.finish());
    path_ = std::filesystem::path(node_.place().file).parent_path() / path;
    return read_firsts(values);
  }

  Result<std::string> read_file() const {
    std::error_code ignored;
    if (!std::filesystem::exists(path_, ignored)) {
      return mistake_at(node_.find("path")->place(), fmt::format("{} does not exist", path_.string()));
    }
    return read_compressed_file(path_);
  }

  Result<LearningCurves> read_table(std::string text) {
    ASSIGN_OR_RETURN(table_, parse_csv(std::move(text), path_.string()));
    RETURN_IF_ERROR(find_columns());
    for (std::size_t row = 0; row < table_.rows(); ++row) {
      RETURN_IF_ERROR(read_row(row));
      note_progress();
    }
    curves_.rows_in_file_ = table_.rows();
    if (curves_.rows() == 0) {
      return mistake_at(node_.place(), fmt::format("no row of {} lies within the space", path_.string()));
    }
    return std::move(curves_);
  }

 private:
  struct First {  // value column of an objective
    std::string column;
    Place place;
  };

  // `values: v1` for one objective; `values: {val_loss: loss1, val_time: time1}` for any number.
  Status read_firsts(const Node* values) {
    const auto& objectives = experiment_.objectives;
    if (values == nullptr || values->is_scalar()) {
      if (objectives.size() > 1) {
        return mistake_at(values != nullptr ? values->place() : node_.place(),
                          "expected a map from each objective to its first column in `values:`");
      }
      firsts_.push_back(
          {values != nullptr ? values->text() : "v1", values != nullptr ? values->place() : node_.place()});
      return {};
    }
    Section section(*values, "values");
    for (const Objective& objective : objectives) {
      const std::string column = section.text(objective.metric);
      const Node* node = section.child(objective.metric);
      firsts_.push_back({column, node != nullptr ? node->place() : values->place()});
    }
    return section.finish();
  }

  Result<std::size_t> find_column(const std::string& name, const Place& place, std::string_view what) const {
    const auto& names = table_.column_names();
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      return mistake_at(place, fmt::format("{} has no column '{}' for {}{}", path_.string(), name, what,
                                           did_you_mean(name, names)));
    }
    return static_cast<std::size_t>(found - names.begin());
  }

  // An objective's columns go to the first one that is an objective's, a parameter's or the cost, or to the
  // end.
  Status find_columns() {
    std::vector<bool> ends(table_.columns() + 1, false);
    ends.back() = true;
    for (const Parameter& parameter : experiment_.space.parameters()) {
      ASSIGN_OR_RETURN(const std::size_t column,
                       find_column(parameter.name, parameter.place, "this parameter"));
      parameters_.push_back(column);
      ends[column] = true;
    }
    if (cost_) {
      ASSIGN_OR_RETURN(cost_column_, find_column(*cost_, node_.find("cost")->place(), "the cost"));
      ends[cost_column_] = true;
    }
    for (const First& first : firsts_) {
      ASSIGN_OR_RETURN(const std::size_t column, find_column(first.column, first.place, "the values"));
      if (ends[column]) {
        return mistake_at(first.place,
                          fmt::format("the column '{}' stands for something else", first.column));
      }
      ends[column] = true;
      value_columns_.push_back(column);
    }
    for (std::size_t i = 0; i < value_columns_.size(); ++i) {
      const auto after = ends.begin() + static_cast<std::ptrdiff_t>(value_columns_[i]) + 1;
      const auto count = static_cast<std::size_t>(std::find(after, ends.end(), true) - after) + 1;
      const std::size_t epochs = count - std::min<std::size_t>(count, untrained_ ? 1 : 0);
      if (i > 0 && epochs != curves_.columns_) {
        return mistake_at(firsts_[i].place,
                          fmt::format("{} columns of values from '{}', but {} from '{}'", epochs,
                                      firsts_[i].column, curves_.columns_, firsts_[0].column));
      }
      curves_.columns_ = epochs;
    }
    if (curves_.columns_ == 0) {
      return mistake_at(firsts_[0].place,
                        fmt::format("no column of values after the untrained '{}'", firsts_[0].column));
    }
    return {};
  }

  Error mistake(std::size_t row, std::size_t column, std::string_view expected) const {
    return mistake_at(table_.place(row, column),
                      fmt::format("column '{}': expected {}, not '{}'", table_.column_names()[column],
                                  expected, table_.text(row, column)));
  }

  // Rows outside of the space are left out: a smaller space searches a part of the table.
  Status read_row(std::size_t row) {
    const Space& space = experiment_.space;
    Point point(space.size());
    for (std::size_t i = 0; i < space.size(); ++i) {
      const Parameter& parameter = space.parameters()[i];
      const std::string cell = table_.text(row, parameters_[i]);
      if (!space.active(point, i)) {
        continue;
      }
      const auto number = is_choice(parameter) ? 0.0 : parse_number(cell);
      if (!number || !std::isfinite(*number)) {
        return mistake(row, parameters_[i], "a number");
      }
      point[i] = encoded(parameter, cell, *number);
      if (!point[i]) {
        return {};
      }
    }
    for (std::size_t i = 0; i < space.size(); ++i) {
      curves_.positions_.push_back(point[i] ? std::optional(position(space.parameters()[i], *point[i]))
                                            : std::nullopt);
    }
    if (cost_) {
      const auto seconds = parse_number(table_.raw(row, cost_column_));
      if (!seconds || !std::isfinite(*seconds) || *seconds < 0) {
        return mistake(row, cost_column_, "seconds of at least 0");
      }
      curves_.seconds_.push_back(*seconds);
    }
    return read_values(row);
  }

  // A curve may end early: its last cells are empty.
  Status read_values(std::size_t row) {
    std::size_t shortest = curves_.columns_;
    for (const std::size_t first : value_columns_) {
      std::size_t length = 0;
      for (std::size_t epoch = 0; epoch < curves_.columns_; ++epoch) {
        const std::size_t column = first + epoch + (untrained_ ? 1 : 0);
        const std::string_view cell = table_.raw(row, column);
        const auto number = parse_number(cell);
        if (!cell.empty() && (!number || length < epoch)) {
          return mistake(row, column, number ? "nothing after an empty cell" : "a number or nan");
        }
        length += cell.empty() ? 0 : 1;
        curves_.values_.push_back(number.value_or(std::numeric_limits<double>::quiet_NaN()));
      }
      if (length == 0) {
        return mistake(row, first + (untrained_ ? 1 : 0), "at least one value");
      }
      shortest = std::min(shortest, length);
    }
    curves_.lengths_.push_back(static_cast<int>(shortest));
    return {};
  }

  const Experiment& experiment_;
  const Node& node_;
  LearningCurves curves_;
  CsvTable table_;
  std::filesystem::path path_;
  bool untrained_ = false;  // the first value column is the untrained network
  std::optional<std::string> cost_;
  std::size_t cost_column_ = 0;
  std::vector<First> firsts_;  // by objective
  std::vector<std::size_t> value_columns_;
  std::vector<std::size_t> parameters_;  // columns, in the space's order
};

Result<LearningCurves> LearningCurves::load(const Experiment& experiment) {
  const Node* node = experiment.section("table");
  CHECK(node != nullptr, "the caller has seen a table");
  LearningCurvesReader reader(experiment, *node);
  RETURN_IF_ERROR(reader.read_section());
  ASSIGN_OR_RETURN(std::string text, reader.read_file());
  return reader.read_table(std::move(text));
}

Result<LearningCurves> LearningCurves::parse(const Experiment& experiment, std::string csv) {
  const Node* node = experiment.section("table");
  CHECK(node != nullptr, "the caller has seen a table");
  LearningCurvesReader reader(experiment, *node);
  RETURN_IF_ERROR(reader.read_section());
  return reader.read_table(std::move(csv));
}

int LearningCurves::epochs() const { return *std::max_element(lengths_.begin(), lengths_.end()); }

std::optional<std::size_t> LearningCurves::nearest(const Point& point, const std::vector<bool>& taken) const {
  const auto& parameters = experiment_->space.parameters();
  std::vector<std::optional<double>> wanted(point.size());
  for (std::size_t i = 0; i < point.size(); ++i) {
    wanted[i] = point[i] ? std::optional(position(parameters[i], *point[i])) : std::nullopt;
  }
  std::optional<std::size_t> best;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t row = 0; row < rows(); ++row) {
    if (taken[row]) {
      continue;
    }
    double distance = 0;
    for (std::size_t i = 0; i < wanted.size() && distance < least; ++i) {
      const auto& has = positions_[row * wanted.size() + i];
      if (wanted[i].has_value() != has.has_value() ||
          (has && is_choice(parameters[i]) && *has != *wanted[i])) {
        distance += 1;
      } else if (has && !is_choice(parameters[i])) {
        distance += (*has - *wanted[i]) * (*has - *wanted[i]);
      }
    }
    if (!best || distance < least) {
      best = row;
      least = distance;
    }
  }
  return best;
}

std::vector<double> LearningCurves::values(std::size_t row, int epoch) const {
  CHECK(epoch >= 1 && epoch <= epochs_of(row), "the curve has this epoch");
  const std::size_t objectives = experiment_->objectives.size();
  std::vector<double> values;
  for (std::size_t i = 0; i < objectives; ++i) {
    values.push_back(values_[(row * objectives + i) * columns_ + static_cast<std::size_t>(epoch) - 1]);
  }
  return values;
}

std::optional<double> LearningCurves::epoch_seconds(std::size_t row) const {
  return seconds_.empty() ? std::nullopt : std::optional(seconds_[row]);
}

}  // namespace regatta
