// Plain POSIX: append, flush, and a lock that goes away with the process.
#include "cli/request_journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace regatta {
namespace {

Error file_failure(const char* doing, const std::filesystem::path& path) {
  return failure(fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(errno)));
}

}  // namespace

Result<RequestJournal> RequestJournal::open(const std::filesystem::path& path, const std::string& head) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) {
    return file_failure("open", path);
  }
  RequestJournal journal(path, file);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    return user_mistake(fmt::format("{} is in use by another process", path.string()));
  }
  RETURN_IF_ERROR(journal.read(head));
  return journal;
}

Status RequestJournal::read(const std::string& head) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path_));
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    lines_.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const bool is_ours = lines_.empty() ? head.starts_with(text) : lines_.front() == head;
  if (!is_ours) {
    return user_mistake(fmt::format(
        "{}: this is not the state of a search with this experiment and seed; give another file with --state",
        path_.string()));
  }
  if (begin < text.size() && ::ftruncate(file_, static_cast<off_t>(begin)) != 0) {
    return file_failure("write to", path_);
  }
  if (lines_.empty()) {
    return append(head);
  }
  lines_.erase(lines_.begin());
  return {};
}

Status RequestJournal::append(std::string_view line) {
  std::string bytes(line);
  bytes += '\n';
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) {
      return file_failure("write to", path_);
    }
    rest.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  return ::fdatasync(file_) == 0 ? Status() : file_failure("write to", path_);
}

RequestJournal::~RequestJournal() {
  if (file_ >= 0) {
    ::close(file_);
  }
}

}  // namespace regatta
