// Sums are taken in double, or exactly for bytes, in the order of the samples: the same on every rank.
#include "data/normalization.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace regatta {
namespace {

// The first of the sample shape's sizes for images, where the rest is one channel's pixels; the number of
// features for tables.
std::size_t group_count(const Dataset& dataset) {
  return static_cast<std::size_t>(dataset.sample_shape.front());
}

struct ShiftAndScale {
  std::vector<float> shift;
  std::vector<float> scale;
};

// Of the columns of row-major `values`, over the rows `samples`.
ShiftAndScale fit_columns(std::span<const float> values, std::size_t columns,
                          std::span<const std::int64_t> samples) {
  const auto row = [&](std::int64_t sample) {
    return values.subspan(static_cast<std::size_t>(sample) * columns, columns);
  };
  std::vector<double> mean(columns);
  std::vector<double> variance(columns);
  std::vector<bool> constant(columns, true);
  const auto count = static_cast<double>(samples.size());
  for (const std::int64_t sample : samples) {
    for (std::size_t i = 0; i < columns; ++i) {
      mean[i] += row(sample)[i] / count;
      constant[i] = constant[i] && row(sample)[i] == row(samples.front())[i];
    }
  }
  for (const std::int64_t sample : samples) {
    for (std::size_t i = 0; i < columns; ++i) {
      const double difference = row(sample)[i] - mean[i];
      variance[i] += difference * difference / count;
    }
  }
  ShiftAndScale fitted;
  for (std::size_t i = 0; i < columns; ++i) {
    fitted.shift.push_back(static_cast<float>(mean[i]));
    fitted.scale.push_back(constant[i] ? 1.0F : static_cast<float>(1.0 / std::sqrt(variance[i])));
  }
  return fitted;
}

ShiftAndScale fit_channels(const Dataset& dataset, std::span<const std::uint8_t> bytes,
                           std::span<const std::int64_t> samples) {
  const std::size_t channels = group_count(dataset);
  const auto sample_size = static_cast<std::size_t>(dataset.sample_size());
  const std::size_t pixels = sample_size / channels;
  ShiftAndScale fitted;
  for (std::size_t channel = 0; channel < channels; ++channel) {
    std::array<std::uint64_t, 256> histogram = {};
    for (const std::int64_t sample : samples) {
      const std::size_t begin = static_cast<std::size_t>(sample) * sample_size + channel * pixels;
      for (const std::uint8_t byte : bytes.subspan(begin, pixels)) {
        ++histogram[byte];
      }
    }
    const auto count = static_cast<double>(samples.size() * pixels);
    double mean = 0;
    for (std::size_t byte = 0; byte < histogram.size(); ++byte) {
      mean += static_cast<double>(histogram[byte]) * static_cast<double>(byte) / count;
    }
    double variance = 0;
    for (std::size_t byte = 0; byte < histogram.size(); ++byte) {
      const double difference = static_cast<double>(byte) - mean;
      variance += static_cast<double>(histogram[byte]) * difference * difference / count;
    }
    const bool constant = std::ranges::count_if(histogram, [](std::uint64_t n) { return n > 0; }) == 1;
    fitted.shift.push_back(static_cast<float>(mean));
    fitted.scale.push_back(constant ? 1.0F : static_cast<float>(1.0 / std::sqrt(variance)));
  }
  return fitted;
}

}  // namespace

Normalization fit_normalization(const Dataset& dataset, std::span<const std::int64_t> samples,
                                const std::vector<bool>& one_hot) {
  CHECK(!samples.empty());
  Normalization normalization;
  if (const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&dataset.inputs)) {
    ShiftAndScale inputs = fit_channels(dataset, *bytes, samples);
    normalization.shift = std::move(inputs.shift);
    normalization.scale = std::move(inputs.scale);
  } else {
    ShiftAndScale inputs =
        fit_columns(std::get<std::vector<float>>(dataset.inputs), group_count(dataset), samples);
    for (std::size_t i = 0; i < one_hot.size(); ++i) {
      if (one_hot[i]) {
        inputs.shift[i] = 0;
        inputs.scale[i] = 1;
      }
    }
    normalization.shift = std::move(inputs.shift);
    normalization.scale = std::move(inputs.scale);
  }
  ShiftAndScale targets = fit_columns(dataset.targets, dataset.target_names.size(), samples);
  normalization.target_shift = std::move(targets.shift);
  normalization.target_scale = std::move(targets.scale);
  return normalization;
}

Normalization without_normalization(const Dataset& dataset) {
  const bool bytes = std::holds_alternative<std::vector<std::uint8_t>>(dataset.inputs);
  const std::size_t targets = dataset.target_names.size();
  return {.shift = std::vector<float>(group_count(dataset), 0.0F),
          .scale = std::vector<float>(group_count(dataset), bytes ? 1.0F / 255.0F : 1.0F),
          .target_shift = std::vector<float>(targets, 0.0F),
          .target_scale = std::vector<float>(targets, 1.0F)};
}

}  // namespace regatta
