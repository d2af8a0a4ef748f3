// Ctrl-C and SIGTERM, counted instead of obeyed: once means save and end, twice means end now. SIGUSR1 is
// what a batch system sends before the time is up.
#pragma once

#include <array>
#include <csignal>

namespace regatta {

// While one is alive, SIGINT, SIGTERM and SIGHUP only count; SIGHUP counts as no more than the first. A
// signal that was ignored before stays ignored, but for SIGUSR1, which batch scripts ignore until there is
// somebody to heed it. At most one at a time in a process.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int count() const;
  bool time_is_up() const;  // SIGUSR1 has come

 private:
  static constexpr std::array<int, 4> kSignals{SIGINT, SIGTERM, SIGHUP, SIGUSR1};
  std::array<struct sigaction, kSignals.size()> before_{};
};

// For ranks of a crew inside a larger mpirun or a Slurm job: the coordinator decides what an interrupt means.
void ignore_interrupts();

}  // namespace regatta
