// Which checkpoint files exist and which of them nobody needs any more, so that disks do not fill up.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace regatta {

class CheckpointKeeper {
 public:
  // The file is there now. Empty paths are ignored here and below.
  void add(int trial, const std::string& checkpoint);
  // Of the trial's files only `needed` are; the others become obsolete, each once.
  void keep_only(int trial, const std::vector<std::string>& needed);

  std::vector<std::string> take_obsolete();
  std::vector<std::string> all() const;

 private:
  std::map<int, std::vector<std::string>> files_;  // by trial; a trial has two or three at most
  std::vector<std::string> obsolete_;
};

}  // namespace regatta
