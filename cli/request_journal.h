// The requests that have changed a search, one a line, so that they can be repeated after a crash. One
// process writes it at a time.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace regatta {

class RequestJournal {
 public:
  // Opens or makes the file. Its first line is `head`, one line that tells whose requests these are; a file
  // with another one is the user's mistake. A last line without an end was cut short by a crash and is
  // dropped: its request was not answered.
  static Result<RequestJournal> open(const std::filesystem::path& path, const std::string& head);
  RequestJournal(RequestJournal&& other) noexcept
      : path_(std::move(other.path_)),
        file_(std::exchange(other.file_, -1)),
        lines_(std::move(other.lines_)) {}
  RequestJournal& operator=(RequestJournal&&) = delete;
  ~RequestJournal();

  // The requests that were there when the file was opened.
  const std::vector<std::string>& lines() const { return lines_; }
  // On disk when this returns.
  Status append(std::string_view line);

 private:
  RequestJournal(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}
  Status read(const std::string& head);

  std::filesystem::path path_;
  int file_;
  std::vector<std::string> lines_;
};

}  // namespace regatta
