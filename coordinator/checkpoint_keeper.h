// Which checkpoint files exist and which of them nobody needs any more, so that disks do not fill up.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace regatta {

class CheckpointKeeper {
 public:
  // The file is there now, and the trial needs it; several trials may need one file. Empty paths are ignored
  // here and below.
  void add(int trial, const std::string& checkpoint);
  // Of the trial's files it needs only `needed`; the others become obsolete, each once and not before the
  // last trial has no need of it.
  void keep_only(int trial, const std::vector<std::string>& needed);

  std::vector<std::string> take_obsolete();
  std::vector<std::string> all() const;

 private:
  std::map<int, std::vector<std::string>> files_;  // by trial; a trial has two or three at most
  std::map<std::string, int> holders_;             // of every file: how many trials need it
  std::vector<std::string> obsolete_;
};

}  // namespace regatta
