// Files as the project needs them: whole reads, and writes that are there completely or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace regatta {

Result<std::string> read_file(const std::filesystem::path& path);

// Writes beside the target, flushes to disk and renames: a crash leaves the old file or the new one, never a
// part. `permissions` hold from the file's first moment; the umask takes from them.
Status write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                             std::filesystem::perms permissions = std::filesystem::perms{0644});

Status make_directories(const std::filesystem::path& path);

// CRC-32 (ISO-HDLC, as in gzip) of `bytes`.
std::uint32_t crc32_of(std::string_view bytes);

// A new empty folder that goes away with the object.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> make(std::string_view prefix = "regatta");
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace regatta
