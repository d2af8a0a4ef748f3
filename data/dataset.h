// A data set in memory, its splits, and the `data:` section that describes it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "experiment/node.h"

namespace regatta {

enum class Task { classification, regression };

// All samples, as read. Immutable once made; threads may share it.
struct Dataset {
  Task task = Task::classification;
  std::vector<std::int64_t> sample_shape;  // {channels, height, width} or {features}
  std::int64_t count = 0;
  // Row-major [count, sample_shape...]. Images stay bytes: a quarter of the memory, converted as batches are
  // made.
  std::variant<std::vector<std::uint8_t>, std::vector<float>> inputs;
  std::vector<std::int32_t> labels;        // classification: [count], 0 … class_names.size()-1
  std::vector<float> targets;              // regression: [count, target_names.size()]
  std::vector<std::string> class_names;    // classification
  std::vector<std::string> target_names;   // regression
  std::vector<std::string> feature_names;  // of CSV columns; empty for images

  std::int64_t sample_size() const;  // product of sample_shape
};

// value = (raw - shift) * scale. Images: one pair a channel; tables: one pair a feature. Fitted on the
// training split.
struct Normalization {
  std::vector<float> shift;
  std::vector<float> scale;
  // Regression targets are trained in these units and reported in their own.
  std::vector<float> target_shift;
  std::vector<float> target_scale;
};

// Sample numbers of one part of a dataset.
struct Split {
  std::shared_ptr<const Dataset> dataset;
  std::shared_ptr<const Normalization> normalization;
  std::vector<std::int64_t> samples;
  std::int64_t count() const { return static_cast<std::int64_t>(samples.size()); }
};

struct DataSplits {
  Split train;
  Split validation;
  Split test;  // may be empty: no test data was given
};

// Reads the `data:` section and its files. Every rank calls it and gets the same splits.
//   format: idx | csv
//   path:   a folder (idx: the four usual names, .gz or not) or a file (csv); idx also takes train_images: …
//   etc. validation, test: shares of the data (test only where there is no test file); stratified by class
//   normalize: true | false;  csv: target:, columns:, categorical:, missing: error | mean | drop, separator:,
//   header:
Result<DataSplits> load_data(const Node& node, std::uint64_t seed);

// What a network needs to know of the data.
struct DataShape {
  Task task = Task::classification;
  std::vector<std::int64_t> sample_shape;
  std::int64_t outputs = 0;  // classes, or target columns
  std::int64_t train_count = 0;
  std::int64_t validation_count = 0;
  std::int64_t test_count = 0;
};
DataShape shape_of(const DataSplits& splits);

}  // namespace regatta
