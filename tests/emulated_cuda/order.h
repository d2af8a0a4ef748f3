// The order of what nothing orders: see EmulatedOrder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/random.h"
#include "emulated_cuda/emulator.h"

namespace regatta {

// Decides, and never twice alike when the order is random.
class OrderChooser {
 public:
  void set(EmulatedOrder order, std::uint64_t seed);
  std::size_t pick(std::size_t count);  // which of `count` that may come next
  EmulatedOrder order() const { return order_; }
  Random fresh_random() { return random_.substream(drawn_++); }

 private:
  EmulatedOrder order_ = EmulatedOrder::kForward;
  Random random_{0, "emulated order"};
  std::uint64_t drawn_ = 0;
};

OrderChooser& order_chooser();

// An order of [0, count), decided at once.
class DecidedOrder {
 public:
  explicit DecidedOrder(std::uint64_t count);
  std::uint64_t operator[](std::uint64_t place) const;

 private:
  std::uint64_t count_;
  bool reversed_;
  std::optional<Permutation> permutation_;
};

}  // namespace regatta
