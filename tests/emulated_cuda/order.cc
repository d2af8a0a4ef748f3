// See order.h.
#include "emulated_cuda/order.h"

namespace regatta {

OrderChooser& order_chooser() {
  static OrderChooser chooser;
  return chooser;
}

void set_emulated_order(EmulatedOrder order, std::uint64_t seed) { order_chooser().set(order, seed); }

void OrderChooser::set(EmulatedOrder order, std::uint64_t seed) {
  order_ = order;
  random_ = Random(seed, "emulated order");
  drawn_ = 0;
}

std::size_t OrderChooser::pick(std::size_t count) {
  if (count < 2 || order_ == EmulatedOrder::kForward) {
    return 0;
  }
  return order_ == EmulatedOrder::kReversed ? count - 1 : random_.below(drawn_++, count);
}

DecidedOrder::DecidedOrder(std::uint64_t count)
    : count_(count), reversed_(order_chooser().order() == EmulatedOrder::kReversed) {
  if (order_chooser().order() == EmulatedOrder::kRandom && count > 1) {
    permutation_.emplace(count, order_chooser().fresh_random());
  }
}

std::uint64_t DecidedOrder::operator[](std::uint64_t place) const {
  if (permutation_) {
    return (*permutation_)[place];
  }
  return reversed_ ? count_ - 1 - place : place;
}

}  // namespace regatta
