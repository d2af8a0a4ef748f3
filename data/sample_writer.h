// From a data set's raw values to what a network reads: normalised, and changed at random where that is asked
// for.
#pragma once

#include <cstdint>

#include "data/augmentation.h"
#include "data/dataset.h"

namespace regatta {

class SampleWriter {
 public:
  // The data set and the normalization outlive the writer.
  SampleWriter(const Dataset& dataset, const Normalization& normalization);

  // Dataset::sample_size() floats.
  void write_inputs(std::int64_t sample, float* inputs) const;
  // The same of an image, changed.
  void write_changed(std::int64_t sample, const ImageChange& change, float* inputs) const;
  // Regression: a float a target.
  void write_targets(std::int64_t sample, float* targets) const;

  const ImageSize& image_size() const { return size_; }  // zero for tables

 private:
  template <class T>
  void write_changed(const T* image, const ImageChange& change, float* inputs) const;

  const Dataset& dataset_;
  const Normalization& normalization_;
  std::size_t sample_size_;
  std::size_t target_count_;
  ImageSize size_;
};

}  // namespace regatta
