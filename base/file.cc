// POSIX calls, because std::filesystem cannot flush a file to disk.
#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/host.h"

namespace regatta {
namespace {

constexpr int kStaleAttempts = 5;

Error system_error(std::string_view doing, const std::filesystem::path& path) {
  return failure(fmt::format("{} {}: {}", doing, path.string(), std::strerror(errno)));
}

Status write_all(int descriptor, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return system_error("cannot write", path);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

// False: errno tells why.
bool read_all(const std::filesystem::path& path, std::string& content) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return false;
  }
  struct stat about {};
  if (::fstat(descriptor, &about) == 0 && about.st_size > 0) {
    content.reserve(static_cast<std::size_t>(about.st_size));  // a first guess: /proc tells 0
  }
  std::array<char, 1 << 16> part{};
  ssize_t count = 0;
  while ((count = ::read(descriptor, part.data(), part.size())) != 0) {
    if (count > 0) {
      content.append(part.data(), static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      break;
    }
  }
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return count == 0;
}

// A rename is durable only once its directory is.
void flush_directory(const std::filesystem::path& directory) {
  const int descriptor =
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor);  // some network file systems refuse this; the rename itself has succeeded
    ::close(descriptor);
  }
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path) {
  for (int attempt = 1;; ++attempt) {
    std::string content;
    if (read_all(path, content)) {
      return content;
    }
    // On NFS: another host has put a new file in the place of this one meanwhile.
    if (errno == ESTALE && attempt < kStaleAttempts) {
      continue;
    }
    return errno == EISDIR ? failure(fmt::format("cannot read {}: it is a folder", path.string()))
                           : system_error("cannot read", path);
  }
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view bytes,
                             std::filesystem::perms permissions) {
  const std::filesystem::path draft = fmt::format("{}.{}.{}.tmp", path.string(), host_name(), ::getpid());
  const int descriptor =
      ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, static_cast<mode_t>(permissions));
  if (descriptor < 0) {
    return system_error("cannot create", draft);
  }
  Status written = write_all(descriptor, bytes, draft);
  if (written.ok() && ::fsync(descriptor) != 0) {
    written = system_error("cannot flush", draft);
  }
  if (::close(descriptor) != 0 && written.ok()) {
    written = system_error("cannot close", draft);
  }
  if (written.ok() && ::rename(draft.c_str(), path.c_str()) != 0) {
    written = system_error("cannot rename to", path);
  }
  if (!written.ok()) {
    ::unlink(draft.c_str());
    return written;
  }
  flush_directory(path.parent_path());
  return {};
}

Status make_directories(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return failure(fmt::format("cannot create the folder {}: {}", path.string(), error.message()));
  }
  return {};
}

std::uint32_t crc32_of(std::string_view bytes) {
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

Result<TemporaryDirectory> TemporaryDirectory::make(std::string_view prefix) {
  std::string pattern = (std::filesystem::temp_directory_path() / fmt::format("{}-XXXXXX", prefix)).string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    return system_error("cannot create a folder like", pattern);
  }
  return TemporaryDirectory(std::filesystem::path(pattern));
}

TemporaryDirectory::~TemporaryDirectory() {
  if (!path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

}  // namespace regatta
