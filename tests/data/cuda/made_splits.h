// Splits of every kind of data, with values that differ from each other, for tests of what brings them to a
// device.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "data/dataset.h"
#include "data/normalization.h"
#include "data/text_tokens.h"

namespace regatta {

enum class Kind { byte_images, table, byte_text, float_text, table_regression, image_regression };

inline std::vector<std::int64_t> made_shape(Kind kind) {
  switch (kind) {
    case Kind::byte_images:
    case Kind::image_regression:
      return {2, 5, 7};
    case Kind::byte_text:
    case Kind::float_text:
      return {9};
    default:
      return {3};
  }
}

// `count` samples of it; every fourth sample of the data set belongs to none.
inline Split made_split(Kind kind, std::int64_t count, std::uint64_t seed = 3) {
  const Random random(seed, "made split");
  Dataset dataset{.sample_shape = made_shape(kind), .count = count * 4 / 3 + 4};
  const bool is_text = kind == Kind::byte_text || kind == Kind::float_text;
  const bool has_bytes = kind != Kind::table && kind != Kind::float_text && kind != Kind::table_regression;
  const bool is_regression = kind == Kind::table_regression || kind == Kind::image_regression;
  dataset.positions = is_text ? dataset.sample_shape.front() : 1;
  std::vector<std::uint8_t> bytes;
  std::vector<float> floats;
  for (std::int64_t i = 0; i < dataset.count * dataset.sample_size(); ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    bytes.push_back(static_cast<std::uint8_t>(random.below(index, is_text ? 20 : 256)));
    floats.push_back(is_text ? static_cast<float>(random.below(index, 500))
                             : static_cast<float>(10 * random.normal(index)));
  }
  if (has_bytes) {
    dataset.inputs = std::move(bytes);
  } else {
    dataset.inputs = std::move(floats);
  }
  const Random answers = random.substream(1);
  if (is_regression) {
    dataset.task = Task::regression;
    dataset.target_names = {"first", "second"};
    for (std::int64_t i = 0; i < 2 * dataset.count; ++i) {
      dataset.targets.push_back(static_cast<float>(5 + answers.normal(static_cast<std::uint64_t>(i))));
    }
  } else {
    dataset.class_names = {"a", "b", "c", "d", "e"};
    for (std::int64_t i = 0; i < dataset.positions * dataset.count; ++i) {
      dataset.labels.push_back(static_cast<std::int32_t>(answers.below(static_cast<std::uint64_t>(i), 5)));
    }
  }
  Split split;
  for (std::int64_t sample = 0; split.count() < count; ++sample) {
    if (sample % 4 != 1) {
      split.samples.push_back(sample);
    }
  }
  split.normalization = std::make_shared<const Normalization>(
      is_text ? token_normalization(dataset) : fit_normalization(dataset, split.samples));
  split.dataset = std::make_shared<const Dataset>(std::move(dataset));
  return split;
}

}  // namespace regatta
