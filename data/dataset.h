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
  // {channels, height, width}, {features}, or of texts {positions}: each token's number in class_names
  std::vector<std::int64_t> sample_shape;
  std::int64_t count = 0;
  std::int64_t positions = 1;  // labels of a sample: texts have one at each position, the token that follows
  // Row-major [count, sample_shape...]. Images stay bytes: a quarter of the memory, converted as batches are
  // made.
  std::variant<std::vector<std::uint8_t>, std::vector<float>> inputs;
  std::vector<std::int32_t> labels;        // classification: [count, positions], 0 … class_names.size()-1
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
  Split validation;  // may be empty
  Split test;        // may be empty: no test data was given
};

// Reads the `data:` section and its files. Every rank calls it and gets the same splits. Relative paths start
// at the experiment file's folder; any file may be gzipped.
//   format      idx | csv | text
//   validation  share of the samples, default 0.1; 0: no validation data
//   test        share of the samples, default none; refused where there are test files
//   limit       at most so many training samples, for quick runs
//   normalize   default true: mean 0 and deviation 1 over the training split, of each channel (images), each
//               numeric feature (tables) and each target (regression); false: bytes become [0, 1], all else
//               stays
//   augment     see data/augmentation.h
// All parts hold each class in its share. A part without samples is an empty split of the same dataset.
// idx:
//   path        a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the test, t10k-…
//   train_images, train_labels, test_images, test_labels   instead of those names, relative to `path`
// csv (columns are given by name, or by number from 0; -1 is the last):
//   path        a file
//   target      a column; a list for regression on several
//   columns     the inputs, default all but the target
//   categorical inputs whose numbers are names; columns of texts are categorical anyway
//   task        classification | regression, default: classification if the target holds texts, or at most 20
//               different whole numbers, each at least twice on average
//   missing     error (default) | mean (numbers; categories: the most frequent) | drop (the row)
//   separator   one character or tab, default a comma
//   header      true (default): the first row names the columns; false; or a list of names
//   skip_rows   lines before the table, default 0
// text (to be continued: each token is to be told from those before it; parts are contiguous, the training
// text first, the test's last):
//   path        a file
//   context     tokens of a sample, default 64
//   tokens      characters (UTF-8, default) | bytes
Result<DataSplits> load_data(const Node& node, std::uint64_t seed);

// What a network needs to know of the data.
struct DataShape {
  Task task = Task::classification;
  std::vector<std::int64_t> sample_shape;
  std::int64_t outputs = 0;    // classes, or target columns
  std::int64_t positions = 1;  // labels of a sample
  std::int64_t tokens = 0;     // the inputs are whole numbers from 0 to below this; 0: they are not
  std::int64_t train_count = 0;
  std::int64_t validation_count = 0;
  std::int64_t test_count = 0;
};
DataShape shape_of(const DataSplits& splits);

}  // namespace regatta
