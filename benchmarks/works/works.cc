// One entry a work.
#include "works.h"

#include <fmt/format.h>

#include "base/random.h"
#include "base/text.h"

namespace regatta {
namespace {

std::string basic_block(int filters, int stride) {
  return fmt::format(
      "residual: [conv: {{filters: {0}, stride: {1}, bias: false}}, batch_norm, relu, "
      "conv: {{filters: {0}, bias: false}}, batch_norm], relu",
      filters, stride);
}

// Eighteen layers with the filters of He et al. 2016, table 1, and a first layer for images of 32×32.
std::string resnet18() {
  std::string layers = "conv: {filters: 64, bias: false}, batch_norm, relu";
  for (const int filters : {64, 128, 256, 512}) {
    layers += ", " + basic_block(filters, filters == 64 ? 1 : 2) + ", " + basic_block(filters, 1);
  }
  return fmt::format("[{}, average_pool: 4, dense: 10]", layers);
}

// Radford et al. 2019.
std::string decoder(int tokens, int width, int heads, int depth) {
  return fmt::format(
      "[embedding: {{vocabulary: {0}, units: {1}}}, position_embedding, repeat: {{times: {2}, layers: ["
      "residual: [layer_norm, attention: {{heads: {3}, causal: true}}], "
      "residual: [layer_norm, dense: {4}, gelu, dense: {1}]]}}, layer_norm, dense: {0}]",
      tokens, width, depth, heads, 4 * width);
}

}  // namespace

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
       .layers = fmt::format("[conv: {{filters: 16, bias: false}}, batch_norm, relu, {}, {}, {}, "
                             "average_pool: 8, dense: 10]",
                             basic_block(16, 1), basic_block(32, 2), basic_block(64, 2)),
       .input = {3, 32, 32}},
      {.name = "resnet18", .layers = resnet18(), .input = {3, 32, 32}, .batch = 512},
      {.name = "lstm", .layers = "[lstm: 128, pool_time: last, dense: 10]", .input = {28, 28}},
      {.name = "transformer", .layers = decoder(65, 128, 4, 2), .input = {64}, .classes = 65, .text = true},
      // The smallest GPT-2, its vocabulary rounded up to a multiple of 64.
      {.name = "gpt",
       .layers = decoder(50304, 768, 12, 12),
       .input = {1024},
       .classes = 50304,
       .text = true,
       .batch = 16,
       .optimizer = "{type: adamw, lr: 0.0003, weight_decay: 0.1}"},
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
                   parse_yaml(fmt::format("{{batch_size: {}, precision: {}, optimizer: {}}}", work.batch,
                                          precision, work.optimizer),
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
  const auto fill = [&](auto values) {
    using Value = typename decltype(values)::value_type;
    for (std::size_t i = 0; i < size; ++i) {
      values[i] = static_cast<Value>(work.text ? random.below(i, static_cast<std::uint64_t>(work.classes))
                                               : random.bits(i / 8) >> (i % 8 * 8) & 0xFF);
    }
    dataset->inputs = std::move(values);
  };
  const bool fits_bytes = work.text ? work.classes <= 256 : work.input.size() > 1;  // a table has numbers
  if (fits_bytes) {
    fill(std::vector<std::uint8_t>(size));
  } else {
    fill(std::vector<float>(size));
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
