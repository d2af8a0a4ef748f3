// A sum over the layers.
#include "cost.h"

#include "base/overloaded.h"

namespace regatta {
namespace {

double product(std::int64_t a, std::int64_t b) { return static_cast<double>(a) * static_cast<double>(b); }

double weights_of_conv(const Conv& conv, std::int64_t channels) {
  return product(channels / conv.groups, conv.kernel * conv.kernel);
}

// Every weight of a dense layer meets each position once.
double dense_flops(const PlannedLayer& layer, std::int64_t units) {
  const std::int64_t positions = is_sequence(layer.input) ? layer.input[0] : 1;
  return 2 * product(element_count(layer.input) / positions, units) * static_cast<double>(positions);
}

double attention_flops(const PlannedLayer& layer, const Attention& attention) {
  const std::int64_t positions = layer.input[0];
  const std::int64_t features = layer.input[1];
  const double projections = 8 * product(positions, features) * static_cast<double>(features);
  const double mixing = 4 * product(positions, positions) * static_cast<double>(features);
  return projections + (attention.causal ? mixing / 2 : mixing);
}

double recurrent_flops(const PlannedLayer& layer, const Recurrent& recurrent) {
  const int gates = recurrent.kind == Recurrent::Kind::lstm ? 4 : 3;
  return 2.0 * gates * product(layer.input[0], recurrent.units) *
         static_cast<double>(layer.input[1] + recurrent.units);
}

// Which optimizer keeps how many moments of each weight.
int moments_of(const OptimizerConfig& optimizer) {
  if (optimizer.kind == OptimizerConfig::Kind::sgd) {
    return optimizer.momentum > 0 ? 1 : 0;
  }
  return 2;
}

}  // namespace

double forward_flops(const PlannedLayer& layer) {
  return std::visit(Overloaded{[&](const Dense& dense) { return dense_flops(layer, dense.units); },
                               [&](const Conv& conv) {
                                 return 2 * weights_of_conv(conv, layer.input[0]) *
                                        static_cast<double>(element_count(layer.output));
                               },
                               [&](const Depthwise& depthwise) {
                                 return 2 *
                                        weights_of_conv(as_conv(depthwise, layer.input[0]), layer.input[0]) *
                                        static_cast<double>(element_count(layer.output));
                               },
                               [&](const Conv1d& conv) {
                                 return 2 * product(layer.input[1], conv.kernel) *
                                        static_cast<double>(element_count(layer.output));
                               },
                               [&](const Attention& attention) { return attention_flops(layer, attention); },
                               [&](const Recurrent& recurrent) { return recurrent_flops(layer, recurrent); },
                               [](const auto&) { return 0.0; }},
                    layer.layer.what);
}

StepCost step_cost(const ModelConfig& config, std::int64_t rows, int lanes) {
  const double element = config.train.precision == Precision::bf16 ? 2 : 4;
  const auto samples = static_cast<double>(rows);
  const double rows_of_lanes = samples * lanes;
  StepCost cost;
  bool reads_data = true;  // which all lanes share, and whose gradient nobody needs
  for (const PlannedLayer& layer : config.network.summary) {
    reads_data = reads_data && !std::holds_alternative<Embedding>(layer.layer.what);
    const double flops = forward_flops(layer);
    if (flops == 0) {
      continue;
    }
    const auto input = static_cast<double>(element_count(layer.input));
    const auto output = static_cast<double>(element_count(layer.output));
    cost.flops += flops * rows_of_lanes * (reads_data ? 2 : 3);
    cost.bytes +=
        element * (input * (reads_data ? 2 * samples : 3 * rows_of_lanes) + 2 * output * rows_of_lanes);
    reads_data = false;
  }
  // A weight is read by forward, backward and the update; its gradient is written and read; the update also
  // writes the weight and reads and writes the moments, all in fp32.
  const double update = 4.0 * (2 + 2 * moments_of(config.train.optimizer));
  const auto parameters = static_cast<double>(config.network.parameter_count * lanes);
  cost.bytes += parameters * (2 * element + 2 * 4 + update);
  return cost;
}

}  // namespace regatta
