// Ctrl-C and SIGTERM, counted instead of obeyed: once means save and end, twice means end now. SIGUSR1 is
// what a batch system sends before the time is up.
#pragma once

#include <csignal>
#include <vector>

namespace regatta {

// While one is alive, its signals only count; SIGHUP counts as no more than the first. A signal that was
// ignored before stays ignored, but for SIGUSR1, which batch scripts ignore until there is somebody to heed
// it. At most one at a time in a process.
class Interrupts {
 public:
  explicit Interrupts(std::vector<int> signals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1});
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  int count() const;
  bool time_is_up() const;  // SIGUSR1 has come
  // Whether the first one came from a terminal: a person wants the study to end. Other signals mean that the
  // process is being taken away.
  bool by_user() const;

 private:
  std::vector<int> signals_;
  std::vector<struct sigaction> before_;
};

// For ranks of a crew inside a larger mpirun or a Slurm job: the coordinator decides what an interrupt means.
void ignore_interrupts();

}  // namespace regatta
