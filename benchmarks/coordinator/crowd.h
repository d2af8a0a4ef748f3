// Thousands of connections to a coordinator from one other process, so that the coordinator's own processor
// time can be told from theirs.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>

namespace regatta {

// The process must have no threads yet: it is forked. Ends with the object.
class Crowd {
 public:
  // `play` runs in the other process once go() was called.
  explicit Crowd(const std::function<void()>& play);
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;
  ~Crowd();
  void go();

 private:
  pid_t process_ = -1;
  int start_ = -1;  // a pipe
};

struct CrowdSize {
  int crews = 0;
  int messages = 0;  // of each
};

// Reports only, as fast as they are taken; then reads as many answers.
void flood(const std::filesystem::path& study, const CrowdSize& size);
// Crews whose trials of one epoch take no time, until they are dismissed.
void row(const std::filesystem::path& study, int crews);

}  // namespace regatta
