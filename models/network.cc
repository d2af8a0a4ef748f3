// Shape inference and the layout of the flat buffers, in one walk over the layers.
#include "models/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/overloaded.h"
#include "models/sequence_plan.h"

namespace regatta {
namespace {

bool is_image(const Shape& shape) { return shape.size() == 3; }

class Planner {
 public:
  // Gives `shape`'s successor. `relu_follows`: what comes after the last layer of the list.
  Result<Shape> plan_list(std::vector<Layer>& layers, Shape shape, int depth, bool relu_follows) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      relu_next_ = relu_comes_next(layers, i + 1, relu_follows);
      const std::size_t row = network_.summary.size();
      network_.summary.push_back({.layer = outline(layers[i]), .input = shape, .depth = depth});
      ASSIGN_OR_RETURN(shape, plan_layer(layers[i], shape, depth));
      network_.summary[row].output = shape;
      const auto& what = layers[i].what;
      keeps_numbers_ &= std::holds_alternative<Reshape>(what) || std::holds_alternative<Flatten>(what);
    }
    return shape;
  }

  // Backward visits the layers from the last to the first.
  Network finish() && {
    std::reverse(groups_.begin(), groups_.end());
    for (ParameterGroup& group : groups_) {
      for (ParameterSpec& parameter : group) {
        parameter.offset = network_.parameter_count;
        network_.parameter_count += parameter.size;
        network_.parameters.push_back(std::move(parameter));
      }
    }
    return std::move(network_);
  }

 private:
  // Without the nested layers, which get rows of their own.
  static Layer outline(const Layer& layer) {
    return std::holds_alternative<Residual>(layer.what)
               ? Layer{.what = Residual{}, .place = layer.place, .name = layer.name}
               : layer;
  }

  // Whether the values of layer `next - 1` reach a relu, or its smooth kin, before any other weights.
  static bool relu_comes_next(const std::vector<Layer>& layers, std::size_t next, bool otherwise) {
    for (; next < layers.size(); ++next) {
      const auto& what = layers[next].what;
      if (const auto* activation = std::get_if<Activation>(&what)) {
        return activation->kind == Activation::Kind::relu || activation->kind == Activation::Kind::gelu;
      }
      const bool passes = std::holds_alternative<BatchNorm>(what) || std::holds_alternative<Pool>(what) ||
                          std::holds_alternative<GlobalPool>(what) || std::holds_alternative<Dropout>(what) ||
                          std::holds_alternative<Flatten>(what);
      if (!passes) {
        return false;
      }
    }
    return otherwise;
  }

  Result<Shape> plan_layer(Layer& layer, const Shape& input, int depth) {
    return std::visit(
        Overloaded{[&](Residual& residual) { return plan_residual(layer, residual, input, depth); },
                   [&](auto& what) { return plan(layer, what, input); }},
        layer.what);
  }

  Result<Shape> plan(const Layer& layer, const Dense& dense, const Shape& input) {
    const std::int64_t inputs = is_sequence(input) ? input.back() : element_count(input);
    add_weights(layer, {dense.units, inputs}, inputs, dense.units, dense.bias);
    return is_sequence(input) ? Shape{input.front(), dense.units} : Shape{dense.units};
  }

  Result<Shape> plan(const Layer& layer, const Conv& conv, const Shape& input) {
    RETURN_IF_ERROR(check_window(layer, input, conv.kernel, conv.padding));
    if (input[0] % conv.groups != 0) {
      return mistake_at(layer.place,
                        fmt::format("{}: the {} channels of its input cannot be split into {} groups",
                                    layer.name, input[0], conv.groups));
    }
    const std::int64_t channels = input[0] / conv.groups;
    const std::int64_t area = conv.kernel * conv.kernel;
    add_weights(layer, {conv.filters, channels, conv.kernel, conv.kernel}, channels * area,
                conv.filters / conv.groups * area, conv.bias);
    return Shape{conv.filters, window_positions(input[1], conv.kernel, conv.stride, conv.padding),
                 window_positions(input[2], conv.kernel, conv.stride, conv.padding)};
  }

  Result<Shape> plan(const Layer& layer, const Depthwise& depthwise, const Shape& input) {
    return plan(layer, as_conv(depthwise, input[0]), input);
  }

  Result<Shape> plan(const Layer& layer, const Pool& pool, const Shape& input) {
    RETURN_IF_ERROR(check_window(layer, input, pool.size, 0));
    return Shape{input[0], window_positions(input[1], pool.size, pool.stride, 0),
                 window_positions(input[2], pool.size, pool.stride, 0)};
  }

  Result<Shape> plan(const Layer& layer, const GlobalPool&, const Shape& input) {
    RETURN_IF_ERROR(check_window(layer, input, 1, 0));
    return Shape{input[0]};
  }

  Result<Shape> plan(const Layer&, const Activation&, const Shape& input) { return input; }
  Result<Shape> plan(const Layer&, const Dropout&, const Shape& input) { return input; }
  Result<Shape> plan(const Layer&, const Flatten&, const Shape& input) { return Shape{element_count(input)}; }

  Result<Shape> plan(const Layer& layer, const BatchNorm&, const Shape& input) {
    const Shape channels{is_sequence(input) ? input.back() : input.front()};
    ParameterGroup group;
    group.push_back({.name = layer.name + ".weight", .shape = channels, .initializer = Initializer::ones});
    group.push_back({.name = layer.name + ".bias", .shape = channels, .initializer = Initializer::zeros});
    for (ParameterSpec& parameter : group) {
      parameter.decays = false;
    }
    add_group(std::move(group));
    add_buffer(layer.name + ".running_mean", channels, 0);
    add_buffer(layer.name + ".running_var", channels, 1);
    return input;
  }

  // The layers of sequences have their rules in a file of their own.
  template <class T>
  Result<Shape> plan(const Layer& layer, const T& what, const Shape& input) {
    if (std::is_same_v<T, Embedding> && !keeps_numbers_) {
      return mistake_at(
          layer.place,
          fmt::format("{} reads token numbers, which other layers do not leave as they are; put it first",
                      layer.name));
    }
    ASSIGN_OR_RETURN(LayerPlan plan, plan_layer_of_sequences(layer, what, input));
    for (ParameterSpec& parameter : plan.parameters) {
      if (relu_next_ && std::is_same_v<T, Conv1d> && parameter.initializer == Initializer::glorot_uniform) {
        parameter.initializer = Initializer::he_uniform;
      }
    }
    if (!plan.parameters.empty()) {
      add_group(std::move(plan.parameters));
    }
    return std::move(plan.output);
  }

  Result<Shape> plan_residual(const Layer& layer, Residual& residual, const Shape& input, int depth) {
    const bool relu_follows = relu_next_;
    ASSIGN_OR_RETURN(const Shape output, plan_list(residual.body, input, depth + 1, relu_follows));
    if (residual.shortcut.empty() && output != input) {
      ASSIGN_OR_RETURN(residual.shortcut, make_shortcut(layer, residual, input, output));
    }
    ASSIGN_OR_RETURN(const Shape shortcut, plan_list(residual.shortcut, input, depth + 1, relu_follows));
    CHECK(shortcut == output);
    return output;
  }

  // A projection of the input onto the body's output shape.
  static Result<std::vector<Layer>> make_shortcut(const Layer& layer, const Residual& residual,
                                                  const Shape& input, const Shape& output) {
    const bool normalised = std::any_of(residual.body.begin(), residual.body.end(), [](const Layer& inner) {
      return std::holds_alternative<BatchNorm>(inner.what);
    });
    Layer projection{.place = layer.place};
    if (is_image(input) && is_image(output)) {
      const auto stride = projection_stride(input, output);
      if (!stride) {
        return mistake_at(layer.place,
                          fmt::format("{}: no stride of a 1×1 convolution takes the input {} to the "
                                      "body's output {}",
                                      layer.name, describe(input), describe(output)));
      }
      projection.what =
          Conv{.filters = output[0], .kernel = 1, .stride = *stride, .padding = 0, .bias = !normalised};
      projection.name = layer.name + ".shortcut.conv1";
    } else if (is_features(input, output)) {
      projection.what = Dense{.units = output.back(), .bias = !normalised};
      projection.name = layer.name + ".shortcut.dense1";
    } else {
      return mistake_at(layer.place,
                        fmt::format("{}: the body makes {} of {}, so nothing can be added; move the "
                                    "layer that changes the kind of shape out of the block",
                                    layer.name, describe(output), describe(input)));
    }
    std::vector<Layer> shortcut = {std::move(projection)};
    if (normalised) {
      shortcut.push_back(
          {.what = BatchNorm{}, .place = layer.place, .name = layer.name + ".shortcut.batch_norm1"});
    }
    return shortcut;
  }

  // Whether a dense layer can take one to the other.
  static bool is_features(const Shape& input, const Shape& output) {
    return input.size() == output.size() && !is_image(input) &&
           (!is_sequence(input) || input.front() == output.front());
  }

  static std::optional<std::int64_t> projection_stride(const Shape& input, const Shape& output) {
    for (std::int64_t stride = 1; stride <= std::max(input[1], input[2]); ++stride) {
      if (window_positions(input[1], 1, stride, 0) == output[1] &&
          window_positions(input[2], 1, stride, 0) == output[2]) {
        return stride;
      }
    }
    return std::nullopt;
  }

  static Status check_window(const Layer& layer, const Shape& input, std::int64_t window,
                             std::int64_t padding) {
    if (!is_image(input)) {
      return mistake_at(layer.place,
                        fmt::format("{} needs an image (channels × height × width), and its input has "
                                    "{} features",
                                    layer.name, describe(input)));
    }
    if (window > input[1] + 2 * padding || window > input[2] + 2 * padding) {
      return mistake_at(
          layer.place,
          fmt::format("{}: the window {}×{} is larger than the input {}×{}{}", layer.name, window, window,
                      input[1], input[2], padding > 0 ? fmt::format(" with padding {}", padding) : ""));
    }
    return {};
  }

  void add_weights(const Layer& layer, Shape shape, std::int64_t fan_in, std::int64_t fan_out, bool bias) {
    ParameterGroup group;
    group.push_back({.name = layer.name + ".weight",
                     .shape = std::move(shape),
                     .initializer = relu_next_ ? Initializer::he_uniform : Initializer::glorot_uniform,
                     .fan_in = fan_in,
                     .fan_out = fan_out});
    if (bias) {
      group.push_back({.name = layer.name + ".bias", .shape = {group.front().shape[0]}, .decays = false});
    }
    add_group(std::move(group));
  }

  // Called right after the layer's own row of the summary was begun.
  void add_group(ParameterGroup group) {
    for (ParameterSpec& parameter : group) {
      parameter.size = element_count(parameter.shape);
      network_.summary.back().parameter_count += parameter.size;
    }
    groups_.push_back(std::move(group));
  }

  void add_buffer(std::string name, const Shape& shape, float initial) {
    const std::int64_t size = element_count(shape);
    network_.buffers.push_back({.name = std::move(name),
                                .shape = shape,
                                .initial = initial,
                                .offset = network_.buffer_count,
                                .size = size});
    network_.buffer_count += size;
  }

  Network network_;
  std::vector<ParameterGroup> groups_;  // in the order of forward; a shortcut after its body
  bool relu_next_ = false;              // for the layer being planned
  bool keeps_numbers_ = true;           // whether the layers so far leave the network's input as it is
};

}  // namespace

Result<Network> plan_network(std::vector<Layer> layers, const Shape& input) {
  CHECK(!layers.empty());
  CHECK(!input.empty() && input.size() <= 3,
        "a sample is {features}, {time, features} or {channels, height, width}");
  Planner planner;
  ASSIGN_OR_RETURN(Shape output, planner.plan_list(layers, input, 0, false));
  Network network = std::move(planner).finish();
  network.input = input;
  network.output = std::move(output);
  network.layers = std::move(layers);
  return network;
}

}  // namespace regatta
