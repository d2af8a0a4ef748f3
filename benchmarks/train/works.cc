// One entry a work.
#include "works.h"

#include <fmt/format.h>

#include "base/random.h"
#include "base/text.h"

namespace regatta {

const std::vector<Work>& works() {
  static const std::vector<Work> all = {
      {.name = "mlp", .layers = "[dense: 512, relu, dense: 256, relu, dense: 10]", .input = {1, 28, 28}},
      // As small as networks for tables are: what a step costs besides arithmetic shows.
      {.name = "tabular",
       .layers = "[dense: 64, relu, dense: 64, relu, dense: 7]",
       .input = {54},
       .classes = 7},
      {.name = "cnn",
       .layers = "[conv: 32, relu, max_pool: 2, conv: 64, relu, max_pool: 2, dense: 128, relu, dense: 10]",
       .input = {1, 28, 28}},
      // He et al. 2016, section 4.2, with n = 1.
      {.name = "resnet",
       .layers = "[conv: {filters: 16, bias: false}, batch_norm, relu, "
                 "residual: [conv: {filters: 16, bias: false}, batch_norm, relu, "
                 "conv: {filters: 16, bias: false}, batch_norm], relu, "
                 "residual: [conv: {filters: 32, stride: 2, bias: false}, batch_norm, relu, "
                 "conv: {filters: 32, bias: false}, batch_norm], relu, "
                 "residual: [conv: {filters: 64, stride: 2, bias: false}, batch_norm, relu, "
                 "conv: {filters: 64, bias: false}, batch_norm], relu, average_pool: 8, dense: 10]",
       .input = {3, 32, 32}},
      {.name = "lstm", .layers = "[lstm: 128, pool_time: last, dense: 10]", .input = {28, 28}},
      {.name = "transformer",
       .layers = "[embedding: {vocabulary: 65, units: 128}, position_embedding, repeat: {times: 2, layers: ["
                 "residual: [layer_norm, attention: {heads: 4, causal: true}], "
                 "residual: [layer_norm, dense: 512, gelu, dense: 128]]}, layer_norm, dense: 65]",
       .input = {64},
       .classes = 65,
       .text = true},
  };
  return all;
}

Result<Work> find_work(std::string_view name) {
  std::vector<std::string> names;
  for (const Work& work : works()) {
    if (work.name == name) {
      return work;
    }
    names.emplace_back(work.name);
  }
  return failure(fmt::format("there is no work '{}'; there are {}", name, one_of(names)));
}

Result<ModelConfig> model_of(const Work& work, std::string_view precision) {
  ASSIGN_OR_RETURN(const Node model, parse_yaml(fmt::format("layers: {}", work.layers), "work"));
  ASSIGN_OR_RETURN(const Node train,
                   parse_yaml(fmt::format("{{batch_size: {}, precision: {}, "
                                          "optimizer: {{type: sgd, lr: 0.01, momentum: 0.9}}}}",
                                          kGlobalBatch, precision),
                              "work"));
  return read_model(model, train,
                    {.sample_shape = work.input,
                     .outputs = work.classes,
                     .positions = work.text ? work.input[0] : 1,
                     .tokens = work.text ? work.classes : 0});
}

Split made_up_data(const Work& work, std::int64_t samples) {
  auto dataset = std::make_shared<Dataset>();
  dataset->sample_shape = work.input;
  dataset->count = samples;
  const Random random(1, "benchmark");
  const auto size = static_cast<std::size_t>(samples * element_count(work.input));
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(work.text ? random.below(i, static_cast<std::uint64_t>(work.classes))
                                                   : random.bits(i));
  }
  if (work.input.size() == 1 && !work.text) {  // a table's numbers
    dataset->inputs = std::vector<float>(bytes.begin(), bytes.end());
  } else {
    dataset->inputs = std::move(bytes);
  }
  dataset->positions = work.text ? work.input[0] : 1;
  for (std::int64_t i = 0; i < samples * dataset->positions; ++i) {
    const std::uint64_t label =
        random.substream(1).below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(work.classes));
    dataset->labels.push_back(static_cast<std::int32_t>(label));
  }
  Split split;
  for (std::int64_t i = 0; i < samples; ++i) {
    split.samples.push_back(i);
  }
  for (std::int64_t label = 0; label < work.classes; ++label) {
    dataset->class_names.push_back(fmt::format("{}", label));
  }
  split.dataset = std::move(dataset);
  if (work.text) {  // token numbers stay what they are
    split.normalization = std::make_shared<Normalization>(Normalization{.shift = {0}, .scale = {1}});
    return split;
  }
  const auto channels = static_cast<std::size_t>(work.input[0]);
  split.normalization = std::make_shared<Normalization>(
      Normalization{.shift = std::vector(channels, 127.5F), .scale = std::vector(channels, 1 / 73.9F)});
  return split;
}

}  // namespace regatta
