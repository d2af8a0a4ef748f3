// A signal handler may touch little more than an atomic number.
#include "cli/interrupts.h"

#include <atomic>

namespace regatta {
namespace {

std::atomic<int> interrupt_count{0};
static_assert(std::atomic<int>::is_always_lock_free);

void count_interrupt(int) { interrupt_count.fetch_add(1); }

}  // namespace

Interrupts::Interrupts() {
  interrupt_count = 0;
  struct sigaction action {};
  action.sa_handler = count_interrupt;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &action, &before_[i]);
  }
}

Interrupts::~Interrupts() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &before_[i], nullptr);
  }
}

int Interrupts::count() const { return interrupt_count.load(); }

void ignore_interrupts() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    std::signal(number, SIG_IGN);
  }
}

}  // namespace regatta
