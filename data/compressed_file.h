// Files that may be gzipped: data sets are often shipped so.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace regatta {

// The whole file, decompressed if it begins as gzip does. A damaged or cut gzip file is an error.
Result<std::string> read_compressed_file(const std::filesystem::path& path);

}  // namespace regatta
