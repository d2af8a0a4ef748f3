// Looks now and then at what a card is doing; without the driver's library it sees nothing, which is no
// error.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "devices/nvml.h"

namespace regatta {

// One thread at a time.
class CardMeter {
 public:
  // `bus`: as in Card.
  explicit CardMeter(std::string bus, const std::string& library = kNvmlLibrary);
  std::optional<CardUse> read() const;

 private:
  std::string bus_;
  std::unique_ptr<Nvml> nvml_;  // nullptr: not there
};

}  // namespace regatta
