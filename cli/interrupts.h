// Ctrl-C and SIGTERM, counted instead of obeyed: once means save and end, twice means end now.
#pragma once

#include <csignal>
#include <vector>

namespace regatta {

// While one is alive, its signals only count; SIGHUP counts as no more than the first. A
// signal that was ignored before stays ignored. At most one at a time in a process.
class Interrupts {
 public:
  explicit Interrupts(std::vector<int> signals = {SIGINT, SIGTERM, SIGHUP});
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int count() const;
  // Whether the first one came from a terminal: a person wants the study to end. Other signals mean that the
  // process is being taken away.
  bool by_user() const;

 private:
  std::vector<int> signals_;
  std::vector<struct sigaction> before_;
};

// For ranks of a crew inside a larger mpirun: the coordinator's rank decides what an interrupt means.
void ignore_interrupts();

}  // namespace regatta
