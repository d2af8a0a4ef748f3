// Models from YAML and made-up batches, for the tests of this folder.
#pragma once

#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "experiment/node.h"
#include "layer_cases.h"
#include "models/cpu/engine.h"
#include "models/model.h"

namespace regatta {

inline Node yaml(const std::string& text, const std::string& file = "exp.yaml") {
  return parse_yaml(text, file).value();
}

inline Result<ModelConfig> try_model(const std::string& layers, const ModelInput& input,
                                     const std::string& train = "{}") {
  return read_model(yaml("layers: " + layers), yaml(train), input);
}

inline ModelConfig model_of(const LayerCase& layer_case, const std::string& train = "{}") {
  return try_model(layer_case.layers,
                   {.sample_shape = layer_case.input,
                    .classification = layer_case.classification,
                    .outputs = layer_case.outputs,
                    .positions = layer_case.positions,
                    .tokens = layer_case.vocabulary,
                    .max_epochs = 10},
                   train)
      .value();
}

// Whether this processor computes with `precision: bf16`.
inline bool has_bf16() {
  constexpr auto kNeeded = static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kNeeded) == kNeeded;
}

// A batch that owns its numbers.
struct TestBatch {
  std::vector<float> inputs;
  std::vector<std::int32_t> labels;
  std::vector<float> targets;
  std::int64_t count = 0;
  std::int64_t first_sample = 0;

  BatchView view() const {
    return {
        .inputs = inputs, .labels = labels, .targets = targets, .count = count, .first_sample = first_sample};
  }
};

inline TestBatch random_batch(const LayerCase& layer_case, std::int64_t rows, std::uint64_t seed) {
  const Random random(seed, "test batch");
  TestBatch batch;
  batch.count = rows;
  const std::int64_t sample = element_count(layer_case.input);
  for (std::int64_t i = 0; i < rows * sample; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    batch.inputs.push_back(static_cast<float>(
        layer_case.vocabulary > 0
            ? static_cast<double>(random.below(index, static_cast<std::uint64_t>(layer_case.vocabulary)))
            : random.normal(index)));
  }
  const Random answers = random.substream(1);
  for (std::int64_t i = 0; i < rows * layer_case.outputs; ++i) {
    batch.targets.push_back(static_cast<float>(answers.normal(static_cast<std::uint64_t>(i))));
  }
  for (std::int64_t i = 0; i < rows * layer_case.positions; ++i) {
    batch.labels.push_back(static_cast<std::int32_t>(
        answers.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(layer_case.outputs))));
  }
  return batch;
}

// Rows [begin, end) of a batch, as a rank would get them.
inline TestBatch rows_of(const LayerCase& layer_case, const TestBatch& batch, std::int64_t begin,
                         std::int64_t end) {
  const std::int64_t sample = element_count(layer_case.input);
  const auto slice = [&](const auto& values, std::int64_t width) {
    return std::decay_t<decltype(values)>(values.begin() + begin * width, values.begin() + end * width);
  };
  return {.inputs = slice(batch.inputs, sample),
          .labels = slice(batch.labels, layer_case.positions),
          .targets = slice(batch.targets, layer_case.outputs),
          .count = end - begin,
          .first_sample = batch.first_sample + begin};
}

inline MetricSums metric_sums(const LayerCase& layer_case) {
  return layer_case.classification ? MetricSums::classification(layer_case.outputs)
                                   : MetricSums::regression(layer_case.outputs, {});
}

inline std::vector<MetricSums> metric_sums(const LayerCase& layer_case, int lanes) {
  return std::vector<MetricSums>(static_cast<std::size_t>(lanes), metric_sums(layer_case));
}

inline std::unique_ptr<Engine> cpu_engine(const ModelConfig& config, const LayerCase& layer_case,
                                          std::int64_t capacity, int lanes = 1, std::int64_t global_batch = 0,
                                          int threads = 1) {
  return make_cpu_engine(config, {.batch_capacity = capacity,
                                  .global_batch = global_batch > 0 ? global_batch : capacity,
                                  .evaluation_capacity = capacity,
                                  .lanes = lanes,
                                  .threads = threads,
                                  .classification = layer_case.classification})
      .value();
}

inline std::vector<float> values_of(const LaneState& state, const std::string& name) {
  for (const NamedTensor& tensor : state.tensors) {
    if (tensor.name == name) {
      return tensor.values;
    }
  }
  check_failed("a tensor of this name", __FILE__, __LINE__, name);
}

// Whether two saved lanes hold the same bits.
inline bool same_bits(const LaneState& a, const LaneState& b) {
  if (a.steps != b.steps || a.tensors.size() != b.tensors.size()) {
    return false;
  }
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    if (a.tensors[i].name != b.tensors[i].name || a.tensors[i].values != b.tensors[i].values) {
      return false;
    }
  }
  return true;
}

}  // namespace regatta
