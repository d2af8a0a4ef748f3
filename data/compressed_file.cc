// zlib's gz functions read plain files as they are.
#include "data/compressed_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/progress.h"

namespace regatta {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

struct CloseGzip {
  void operator()(gzFile file) const { gzclose_r(file); }
};

}  // namespace

Result<std::string> read_compressed_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return user_mistake(fmt::format("cannot read {}: it is a folder", path.string()));
  }
  const std::unique_ptr<gzFile_s, CloseGzip> file(gzopen(path.c_str(), "rb"));
  if (!file) {
    return user_mistake(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  }
  gzbuffer(file.get(), kReadBytes / 4);
  std::string content;
  while (true) {
    const std::size_t size = content.size();
    content.resize(size + kReadBytes);
    const int count = gzread(file.get(), content.data() + size, kReadBytes);
    content.resize(size + static_cast<std::size_t>(count > 0 ? count : 0));
    if (count <= 0) {
      break;
    }
    note_progress();
  }
  int code = Z_OK;
  const char* text = gzerror(file.get(), &code);
  if (code == Z_ERRNO) {
    return user_mistake(fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  }
  if (code != Z_OK && code != Z_STREAM_END) {
    return user_mistake(
        fmt::format("cannot read {}: the gzip data is damaged or cut short ({})", path.string(), text));
  }
  return content;
}

}  // namespace regatta
