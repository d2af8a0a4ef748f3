// Loops over pixels and features.
#include "data/sample_writer.h"

#include <algorithm>

namespace regatta {
namespace {

// One group (a channel of an image, a line of it): every element with the same shift and scale.
template <class T>
void normalize_group(const T* __restrict raw, std::size_t count, float shift, float scale,
                     float* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = (static_cast<float>(raw[i]) - shift) * scale;
  }
}

template <class T>
void normalize_reversed(const T* __restrict raw, std::size_t count, float shift, float scale,
                        float* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = (static_cast<float>(raw[count - 1 - i]) - shift) * scale;
  }
}

// A row of a table: every element with its own.
void normalize_row(const float* __restrict raw, const std::vector<float>& shift,
                   const std::vector<float>& scale, float* __restrict out) {
  for (std::size_t i = 0; i < shift.size(); ++i) {
    out[i] = (raw[i] - shift[i]) * scale[i];
  }
}

// A line of pixels, moved and perhaps turned round; what comes from outside of it becomes `outside`.
struct Line {
  std::int64_t width = 0;
  std::int64_t shift_x = 0;
  bool flip = false;
  float shift = 0;
  float scale = 1;
};
template <class T>
void write_line(const Line& line, const T* raw, float outside, float* out) {
  // Element x comes from x + shift_x, or from width - 1 - x + shift_x.
  const std::int64_t first = std::max<std::int64_t>(0, line.flip ? line.shift_x : -line.shift_x);
  const std::int64_t last = std::min(line.width, line.width + (line.flip ? line.shift_x : -line.shift_x));
  std::fill(out, out + first, outside);
  const auto count = static_cast<std::size_t>(last - first);
  if (line.flip) {
    normalize_reversed(raw + line.width - last + line.shift_x, count, line.shift, line.scale, out + first);
  } else {
    normalize_group(raw + first + line.shift_x, count, line.shift, line.scale, out + first);
  }
  std::fill(out + last, out + line.width, outside);
}

}  // namespace

SampleWriter::SampleWriter(const Dataset& dataset, const Normalization& normalization)
    : dataset_(dataset),
      normalization_(normalization),
      sample_size_(static_cast<std::size_t>(dataset.sample_size())),
      target_count_(dataset.target_names.size()) {
  if (dataset.sample_shape.size() == 3) {
    size_ = {.height = dataset.sample_shape[1], .width = dataset.sample_shape[2]};
  }
}

void SampleWriter::write_inputs(std::int64_t sample, float* inputs) const {
  const std::size_t at = static_cast<std::size_t>(sample) * sample_size_;
  const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&dataset_.inputs);
  if (bytes == nullptr) {
    normalize_row(std::get<std::vector<float>>(dataset_.inputs).data() + at, normalization_.shift,
                  normalization_.scale, inputs);
    return;
  }
  const std::size_t channels = normalization_.shift.size();
  const std::size_t pixels = sample_size_ / channels;
  for (std::size_t channel = 0; channel < channels; ++channel) {
    normalize_group(bytes->data() + at + channel * pixels, pixels, normalization_.shift[channel],
                    normalization_.scale[channel], inputs + channel * pixels);
  }
}

void SampleWriter::write_changed(std::int64_t sample, const ImageChange& change, float* inputs) const {
  const std::size_t at = static_cast<std::size_t>(sample) * sample_size_;
  std::visit([&](const auto& values) { write_changed(values.data() + at, change, inputs); }, dataset_.inputs);
}

template <class T>
void SampleWriter::write_changed(const T* image, const ImageChange& change, float* inputs) const {
  const auto [height, width] = size_;
  for (std::size_t channel = 0; channel < normalization_.shift.size(); ++channel) {
    const float shift = normalization_.shift[channel];
    const float scale = normalization_.scale[channel];
    const Line line{
        .width = width, .shift_x = change.shift_x, .flip = change.flip_x, .shift = shift, .scale = scale};
    const float black = (0.0F - shift) * scale;
    for (std::int64_t y = 0; y < height; ++y, inputs += width) {
      const std::int64_t source = (change.flip_y ? height - 1 - y : y) + change.shift_y;
      if (source < 0 || source >= height) {
        std::fill(inputs, inputs + width, black);
      } else {
        write_line(line, image + source * width, black, inputs);
      }
      if (y >= change.cut_y.begin && y < change.cut_y.end) {
        std::fill(inputs + change.cut_x.begin, inputs + change.cut_x.end, 0.0F);
      }
    }
    image += height * width;
  }
}

void SampleWriter::write_targets(std::int64_t sample, float* targets) const {
  normalize_row(dataset_.targets.data() + static_cast<std::size_t>(sample) * target_count_,
                normalization_.target_shift, normalization_.target_scale, targets);
}

}  // namespace regatta
