// A signal handler may touch little more than an atomic number.
#include "cli/interrupts.h"

#include <atomic>
#include <utility>

namespace regatta {
namespace {

std::atomic<int> interrupt_count{0};
std::atomic<int> time_signals{0};
std::atomic<int> first_interrupt{0};  // its number
static_assert(std::atomic<int>::is_always_lock_free);

// A terminal that goes away may hang up more than once: that asks to save, never to end at once.
void count_interrupt(int number) {
  if (number == SIGUSR1) {
    time_signals = 1;
    return;
  }
  int none_yet = 0;
  first_interrupt.compare_exchange_strong(none_yet, number);
  if (number == SIGHUP) {
    int none = 0;
    interrupt_count.compare_exchange_strong(none, 1);
  } else {
    interrupt_count.fetch_add(1);
  }
}

}  // namespace

Interrupts::Interrupts(std::vector<int> signals) : signals_(std::move(signals)), before_(signals_.size()) {
  interrupt_count = 0;
  time_signals = 0;
  first_interrupt = 0;
  struct sigaction action {};
  action.sa_handler = count_interrupt;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < signals_.size(); ++i) {
    ::sigaction(signals_[i], nullptr, &before_[i]);
    // Ignored: nohup or a shell's & wants it so.
    if (before_[i].sa_handler != SIG_IGN || signals_[i] == SIGUSR1) {
      ::sigaction(signals_[i], &action, nullptr);
    }
  }
}

Interrupts::~Interrupts() {
  for (std::size_t i = 0; i < signals_.size(); ++i) {
    ::sigaction(signals_[i], &before_[i], nullptr);
  }
}

int Interrupts::count() const { return interrupt_count.load(); }

bool Interrupts::time_is_up() const { return time_signals.load() != 0; }

bool Interrupts::by_user() const { return first_interrupt.load() == SIGINT; }

void ignore_interrupts() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    std::signal(number, SIG_IGN);
  }
}

}  // namespace regatta
