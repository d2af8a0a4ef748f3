// Says once why there is nothing to be seen.
#include "devices/card_meter.h"

#include <utility>

#include "base/log.h"

namespace regatta {

CardMeter::CardMeter(std::string bus, const std::string& library) : bus_(std::move(bus)) {
  auto nvml = Nvml::open(library);
  if (nvml.ok()) {
    nvml_ = std::move(nvml).value();
  } else {
    spdlog::info("reports go without the card's memory and utilization: {}", nvml.error().message);
  }
}

std::optional<CardUse> CardMeter::read() const {
  if (nvml_ == nullptr) {
    return std::nullopt;
  }
  const auto use = nvml_->use_of(bus_);
  return use.ok() ? std::optional(*use) : std::nullopt;
}

}  // namespace regatta
