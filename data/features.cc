// Filling in and one-hot encoding, column by column.
#include "data/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace regatta {
namespace {

std::size_t width_of(const TableColumn& column) {
  return column.categorical() ? column.categories.size() : 1;
}

Error nothing_to_fill_in(const TableColumn& column) {
  return user_mistake(
      fmt::format("column '{}' has missing cells, but no value in the training split to fill "
                  "them in from; leave it out with `columns:`",
                  column.name));
}

Status write_numbers(const TableColumn& column, std::span<const std::int64_t> train_samples,
                     std::span<float> inputs, std::size_t feature, std::size_t features) {
  double sum = 0;
  std::size_t count = 0;
  for (const std::int64_t sample : train_samples) {
    const float number = column.numbers[static_cast<std::size_t>(sample)];
    if (!std::isnan(number)) {
      sum += number;
      ++count;
    }
  }
  for (std::size_t row = 0; row < column.numbers.size(); ++row) {
    const float number = column.numbers[row];
    if (std::isnan(number) && count == 0) {
      return nothing_to_fill_in(column);
    }
    inputs[row * features + feature] =
        std::isnan(number) ? static_cast<float>(sum / static_cast<double>(count)) : number;
  }
  return {};
}

Status write_one_hot(const TableColumn& column, std::span<const std::int64_t> train_samples,
                     std::span<float> inputs, std::size_t feature, std::size_t features) {
  std::vector<std::int64_t> counts(column.categories.size());
  for (const std::int64_t sample : train_samples) {
    const std::int32_t code = column.codes[static_cast<std::size_t>(sample)];
    if (code >= 0) {
      ++counts[static_cast<std::size_t>(code)];
    }
  }
  const auto most_frequent = std::ranges::max_element(counts);
  for (std::size_t row = 0; row < column.codes.size(); ++row) {
    const std::int32_t code = column.codes[row];
    if (code < 0 && *most_frequent == 0) {
      return nothing_to_fill_in(column);
    }
    const std::size_t category =
        code < 0 ? static_cast<std::size_t>(most_frequent - counts.begin()) : static_cast<std::size_t>(code);
    inputs[row * features + feature + category] = 1;
  }
  return {};
}

}  // namespace

Result<Dataset> make_dataset(const Table& table, std::span<const std::int64_t> train_samples) {
  Dataset dataset;
  dataset.task = table.task;
  dataset.count = table.rows;
  dataset.labels = table.labels;
  dataset.targets = table.targets;
  dataset.class_names = table.class_names;
  dataset.target_names = table.target_names;
  std::size_t features = 0;
  for (const TableColumn& column : table.inputs) {
    features += width_of(column);
  }
  dataset.sample_shape = {static_cast<std::int64_t>(features)};

  std::vector<float> inputs(static_cast<std::size_t>(table.rows) * features);
  std::size_t feature = 0;
  for (const TableColumn& column : table.inputs) {
    if (column.categorical()) {
      RETURN_IF_ERROR(write_one_hot(column, train_samples, inputs, feature, features));
      for (const std::string& category : column.categories) {
        dataset.feature_names.push_back(fmt::format("{}={}", column.name, category));
      }
    } else {
      RETURN_IF_ERROR(write_numbers(column, train_samples, inputs, feature, features));
      dataset.feature_names.push_back(column.name);
    }
    feature += width_of(column);
  }
  dataset.inputs = std::move(inputs);
  return dataset;
}

std::vector<bool> one_hot_features(const Table& table) {
  std::vector<bool> one_hot;
  for (const TableColumn& column : table.inputs) {
    one_hot.insert(one_hot.end(), width_of(column), column.categorical());
  }
  return one_hot;
}

}  // namespace regatta
