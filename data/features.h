// From a table's columns to a dataset. It needs the training samples: what fills in missing cells may not
// know the validation data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "data/dataset.h"
#include "data/table.h"

namespace regatta {

// Missing numbers become the mean of the training samples, missing categories their most frequent one (the
// first of equals). A categorical column becomes one feature a category, "column=category", 1 or 0.
Result<Dataset> make_dataset(const Table& table, std::span<const std::int64_t> train_samples);

// Which features of make_dataset come from categories.
std::vector<bool> one_hot_features(const Table& table);

}  // namespace regatta
