// NFS is consistent from close to open: opening a file or a folder makes the client ask the server whether it
// has changed. A name that was looked up before is believed as long as its folder seems unchanged, so the
// folder is opened first.
#include "base/shared_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"

namespace regatta {
namespace {

constexpr Microseconds kLook = std::chrono::milliseconds(100);

}  // namespace

void forget_names_in(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::close(descriptor);
  }
}

Result<std::string> read_file_soon(const std::filesystem::path& path, Microseconds patience) {
  const SystemClock clock;
  const Deadline deadline(clock, patience);
  while (true) {
    auto content = read_file(path);
    std::error_code unknown;
    const bool is_absent = !content.ok() && !std::filesystem::exists(path, unknown);
    if (!is_absent || deadline.passed()) {
      return content;
    }
    pause_for(kLook);
    forget_names_in(path.parent_path());
  }
}

void pause_for(Microseconds time) { std::this_thread::sleep_for(time); }

}  // namespace regatta
