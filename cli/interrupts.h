// Ctrl-C and SIGTERM, counted instead of obeyed: once means save and end, twice means end now.
#pragma once

#include <array>
#include <csignal>

namespace regatta {

// While one is alive, SIGINT, SIGTERM and SIGHUP only count; SIGHUP counts as no more than the first. A
// signal that was ignored before stays ignored. At most one at a time in a process.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int count() const;

 private:
  static constexpr std::array<int, 3> kSignals{SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kSignals.size()> before_{};
};

// For ranks of a crew inside a larger mpirun: the coordinator's rank decides what an interrupt means.
void ignore_interrupts();

}  // namespace regatta
