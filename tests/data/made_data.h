// Small data sets for tests: files made in a temporary folder, datasets made in memory.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/file.h"
#include "data/dataset.h"
#include "experiment/node.h"

namespace regatta {

inline TemporaryDirectory make_folder() {
  auto folder = TemporaryDirectory::make();
  CHECK(folder.ok());
  return std::move(folder).value();
}

inline void write_text(const std::filesystem::path& path, std::string_view bytes) {
  const Status written = write_file_atomically(path, bytes);
  CHECK(written.ok(), written.ok() ? "" : written.error().message);
}

inline std::string gzipped(const std::filesystem::path& scratch, std::string_view bytes) {
  gzFile file = gzopen(scratch.c_str(), "wb");
  CHECK(file != nullptr);
  CHECK(bytes.empty() || gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) > 0);
  CHECK(gzclose(file) == Z_OK);
  return read_file(scratch).value();
}

// An IDX file of unsigned bytes.
inline std::string idx_bytes(const std::vector<std::uint32_t>& sizes, std::string_view elements) {
  std::string bytes = {'\0', '\0', '\x08', static_cast<char>(sizes.size())};
  for (const std::uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes.push_back(static_cast<char>(size >> shift));
    }
  }
  return bytes.append(elements);
}

// `count` images of 2 × 3 pixels; image i has the label i % classes and its pixels begin at i.
struct MadeImages {
  std::string images;
  std::string labels;
};
inline MadeImages made_images(std::uint32_t count, std::uint32_t classes) {
  std::string pixels;
  std::string labels;
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::uint32_t pixel = 0; pixel < 6; ++pixel) {
      pixels.push_back(static_cast<char>(i + pixel));
    }
    labels.push_back(static_cast<char>(i % classes));
  }
  return {idx_bytes({count, 2, 3}, pixels), idx_bytes({count}, labels)};
}

// A `data:` section as it would stand in the file `folder`/exp.yaml.
inline Result<DataSplits> load_yaml(const std::string& yaml, const std::filesystem::path& folder,
                                    std::uint64_t seed = 1) {
  const auto node = parse_yaml(yaml, (folder / "exp.yaml").string());
  CHECK(node.ok(), node.ok() ? "" : node.error().message);
  return load_data(node.value(), seed);
}

inline std::string error_of(const Result<DataSplits>& splits) {
  return splits.ok() ? "no error" : splits.error().message;
}

}  // namespace regatta
