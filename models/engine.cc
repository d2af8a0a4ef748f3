// What every backend's lanes have in common.
#include "models/engine.h"

namespace regatta {
namespace {

void collect_dropout_rates(const std::vector<Layer>& layers, std::vector<double>& rates) {
  for (const Layer& layer : layers) {
    if (const auto* dropout = std::get_if<Dropout>(&layer.what)) {
      rates.push_back(dropout->rate);
    } else if (const auto* residual = std::get_if<Residual>(&layer.what)) {
      collect_dropout_rates(residual->body, rates);
    }
  }
}

}  // namespace

LaneSettings lane_settings(const ModelConfig& config, std::uint64_t seed) {
  LaneSettings settings{.seed = seed, .optimizer = config.train.optimizer, .schedule = config.train.schedule};
  collect_dropout_rates(config.network.layers, settings.dropout_rates);
  return settings;
}

}  // namespace regatta
