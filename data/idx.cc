// Sizes in the header are compared with the file before anything is allocated for them.
#include "data/idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "data/compressed_file.h"

namespace regatta {
namespace {

constexpr std::uint8_t kUnsignedByte = 0x08;
constexpr std::size_t kMaxRank = 4;

std::uint8_t byte_at(std::string_view bytes, std::size_t offset) {
  return static_cast<std::uint8_t>(bytes[offset]);
}

std::int64_t big_endian_at(std::string_view bytes, std::size_t offset) {
  std::int64_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | byte_at(bytes, offset + i);
  }
  return value;
}

Error wrong(const std::string& file_name, std::string_view what) {
  return user_mistake(fmt::format("{}: {}", file_name, what));
}

Result<IdxArray> read_idx(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const std::string bytes, read_compressed_file(path));
  return parse_idx(bytes, path.string());
}

Result<IdxArray> read_images(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(IdxArray images, read_idx(path));
  if (images.sizes.size() == 3) {
    images.sizes.insert(images.sizes.begin() + 1, 1);
  }
  if (images.sizes.size() != 4) {
    return wrong(path.string(),
                 fmt::format("images have 3 sizes (count, height, width) or 4 (count, channels, "
                             "height, width), but this file has {}. Are these the labels?",
                             images.sizes.size()));
  }
  if (images.elements.empty()) {
    return wrong(path.string(), "there are no images in it");
  }
  return images;
}

}  // namespace

Result<IdxArray> parse_idx(std::string_view bytes, const std::string& file_name) {
  if (bytes.size() < 4 || byte_at(bytes, 0) != 0 || byte_at(bytes, 1) != 0) {
    return wrong(file_name, "not an IDX file: it does not begin with two zero bytes, a type and a rank");
  }
  if (byte_at(bytes, 2) != kUnsignedByte) {
    return wrong(file_name, fmt::format("elements of type {:#04x}; only unsigned bytes ({:#04x}) are read",
                                        byte_at(bytes, 2), kUnsignedByte));
  }
  const std::size_t rank = byte_at(bytes, 3);
  if (rank == 0 || rank > kMaxRank) {
    return wrong(file_name, fmt::format("{} sizes; expected 1 to {}", rank, kMaxRank));
  }
  const std::size_t header_bytes = 4 + 4 * rank;
  if (bytes.size() < header_bytes) {
    return wrong(file_name, "cut short within its header");
  }
  IdxArray array;
  std::int64_t expected = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t size = big_endian_at(bytes, 4 + 4 * i);
    if (size != 0 && expected > std::numeric_limits<std::int64_t>::max() / size) {
      return wrong(file_name, "impossible sizes in its header");
    }
    expected *= size;
    array.sizes.push_back(size);
  }
  const std::string_view elements = bytes.substr(header_bytes);
  if (elements.size() != static_cast<std::size_t>(expected)) {
    return wrong(file_name,
                 fmt::format("{}: its sizes {} need {} bytes, but {} follow the header",
                             elements.size() < static_cast<std::size_t>(expected) ? "cut short" : "too long",
                             fmt::join(array.sizes, " × "), expected, elements.size()));
  }
  array.elements.assign(elements.begin(), elements.end());
  return array;
}

Result<Dataset> read_idx_dataset(const IdxFiles& files, std::optional<std::int64_t> classes) {
  ASSIGN_OR_RETURN(IdxArray images, read_images(files.images));
  ASSIGN_OR_RETURN(const IdxArray labels, read_idx(files.labels));
  if (labels.sizes.size() != 1) {
    return wrong(files.labels.string(),
                 fmt::format("labels have 1 size (count), but this file has {}. Are these the images?",
                             labels.sizes.size()));
  }
  if (labels.sizes[0] != images.sizes[0]) {
    return wrong(files.labels.string(), fmt::format("{} labels, but {} holds {} images", labels.sizes[0],
                                                    files.images.string(), images.sizes[0]));
  }
  const std::int64_t highest = *std::ranges::max_element(labels.elements);
  if (classes && highest >= *classes) {
    return wrong(files.labels.string(),
                 fmt::format("label {}, but the training labels end at {}", highest, *classes - 1));
  }
  if (highest == 0 && !classes) {
    return wrong(files.labels.string(), "every label is 0: there must be at least 2 classes");
  }
  Dataset dataset;
  dataset.task = Task::classification;
  dataset.count = images.sizes[0];
  dataset.sample_shape.assign(images.sizes.begin() + 1, images.sizes.end());
  dataset.inputs = std::move(images.elements);
  dataset.labels.assign(labels.elements.begin(), labels.elements.end());
  for (std::int64_t i = 0; i < classes.value_or(highest + 1); ++i) {
    dataset.class_names.push_back(std::to_string(i));
  }
  return dataset;
}

}  // namespace regatta
