// Lowers layers to operations and runs them.
#include "models/cpu/program.h"

#include <algorithm>

#include "base/overloaded.h"

namespace regatta {
namespace {

bool is_image(const Tensor& tensor) { return tensor.shape.size() == 3; }

// Whether `layer` has weights and can apply an activation of this kind. Backward must get by with the output,
// and the channels that fill up a convolution's blocks must stay zero.
bool can_apply(const Layer& layer, Activation::Kind kind) {
  using Kind = Activation::Kind;
  const bool convolves =
      std::holds_alternative<Conv>(layer.what) || std::holds_alternative<Depthwise>(layer.what);
  return (std::holds_alternative<Dense>(layer.what) && kind != Kind::gelu) ||
         (convolves && (kind == Kind::relu || kind == Kind::tanh));
}

template <class What>
bool is_layer(const std::vector<Layer>& layers, std::size_t index) {
  return index < layers.size() && std::holds_alternative<What>(layers[index].what);
}

bool has_weights(const std::vector<Layer>& layers, std::size_t index) {
  return is_layer<Dense>(layers, index) || is_layer<Conv>(layers, index) ||
         is_layer<Depthwise>(layers, index);
}

// gelu right before a dense layer is applied by that.
bool is_gelu_of_dense(const std::vector<Layer>& layers, std::size_t index) {
  return is_layer<Activation>(layers, index) &&
         std::get<Activation>(layers[index].what).kind == Activation::Kind::gelu &&
         is_layer<Dense>(layers, index + 1);
}

bool is_relu(const std::vector<Layer>& layers, std::size_t index) {
  return is_layer<Activation>(layers, index) &&
         std::get<Activation>(layers[index].what).kind == Activation::Kind::relu;
}

// relu(max(x)) = max(relu(x)), with fewer values to clamp, and to mask on the way back.
bool may_swap(const std::vector<Layer>& layers, std::size_t index) {
  return is_relu(layers, index) && is_layer<Pool>(layers, index + 1) &&
         std::get<Pool>(layers[index + 1].what).kind == Pool::Kind::max;
}

// Whether the layer reads any type of elements; others know floats.
bool reads_any_type(const std::vector<Layer>& layers, std::size_t index) {
  return has_weights(layers, index) || is_relu(layers, index) || is_layer<Pool>(layers, index) ||
         is_layer<Flatten>(layers, index) || is_layer<Reshape>(layers, index) ||
         is_layer<BatchNorm>(layers, index) || is_layer<Residual>(layers, index);
}

// What the layer of weights at `index` leaves: the products' own type, or floats where an operation or the
// loss would only convert it. `ends_in_sum`: the list is a branch of a residual block.
ElementType output_type(const std::vector<Layer>& layers, std::size_t index, bool ends_in_sum,
                        ElementType precision) {
  const std::size_t next = index + (is_relu(layers, index + 1) ? 2 : 1);
  const bool any = next < layers.size() ? reads_any_type(layers, next) : ends_in_sum;
  return any ? precision : ElementType::f32;
}

Ending ending_of(const std::vector<Layer>& layers, std::size_t index) {
  const auto* next = index + 1 < layers.size() ? std::get_if<Activation>(&layers[index + 1].what) : nullptr;
  return next != nullptr && can_apply(layers[index], next->kind) ? Ending(next->kind) : Ending();
}

// The sizes that `window` leaves of an image.
Shape windowed(const Shape& image, std::int64_t channels, std::int64_t window, std::int64_t stride,
               std::int64_t padding) {
  return {channels, window_positions(image[1], window, stride, padding),
          window_positions(image[2], window, stride, padding)};
}

}  // namespace

Program::Program(const dnnl::engine& engine, Phase phase, std::int64_t rows,
                 const ParameterMemory& parameters, const ModelConfig& config, std::int64_t global_batch)
    : planner_(engine, phase, rows, parameters,
               config.train.precision == Precision::bf16 ? ElementType::bf16 : ElementType::f32) {
  Tensor output = lower(config.network.layers, planner_.network_input(config.network.input));
  if (is_image(output)) {
    output = flat(output);
  }
  output = floats(output);
  planner_.advance();
  stages_.push_back({.name = "loss",
                     .operation = plan_loss(planner_, config.train, output, global_batch),
                     .has_backward = output.needs_gradient});
  if (phase == Phase::train) {
    for (std::size_t i = stages_.size(); i-- > 0;) {
      planner_.advance();
      if (stages_[i].has_backward) {
        stages_[i].operation->plan_backward(planner_);
      }
    }
  }
  arena_bytes_ = planner_.arrange();
}

Tensor Program::lower(const std::vector<Layer>& layers, Tensor input) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (may_swap(layers, i)) {
      input = lower(layers, i, lower(layers, i + 1, input));
      ++i;
    } else if (is_gelu_of_dense(layers, i)) {
      input = floats(input);
    } else {
      input = lower(layers, i, reads_any_type(layers, i) ? input : floats(input));
    }
  }
  return input;
}

// An activation right behind weights is applied by their operation where that is possible; its own operation
// keeps the backward part.
Tensor Program::lower(const std::vector<Layer>& layers, std::size_t index, const Tensor& input) {
  const Layer& layer = layers[index];
  const OutputOptions options{.ending = ending_of(layers, index),
                              .type = output_type(layers, index, nesting_ > 0, planner_.precision())};
  const Shape& image = input.shape;
  return std::visit(
      Overloaded{
          [&](const Dense& dense) {
            const Tensor features = is_image(input) ? flat(input) : input;
            planner_.advance();
            const auto plan = index > 0 && is_gelu_of_dense(layers, index - 1) ? plan_gelu_dense : plan_dense;
            return append(plan(planner_, layer.name, dense, features, options), layer.name);
          },
          [&](const Conv& conv) { return lower_conv(layer.name, conv, input, options); },
          [&](const Depthwise& depthwise) {
            return lower_conv(layer.name, as_conv(depthwise, image[0]), input, options);
          },
          [&](const Pool& pool) {
            planner_.advance();
            return append(
                plan_pool(planner_, pool, input, windowed(image, image[0], pool.size, pool.stride, 0)),
                layer.name);
          },
          [&](const GlobalPool& pool) {
            planner_.advance();
            return append(plan_global_pool(planner_, pool, input), layer.name);
          },
          [&](const Activation& activation) {
            planner_.advance();
            const bool applied = index > 0 && can_apply(layers[index - 1], activation.kind);
            return append(plan_activation(planner_, activation, input,
                                          applied ? ActivationForward::applied : ActivationForward::needed),
                          layer.name);
          },
          [&](const Flatten&) { return flat(input); },
          [&](const Reshape& reshape) { return reshaped(input, reshape.shape); },
          [&](const Dropout&) {
            const int number = dropouts_++;
            if (planner_.phase() == Phase::evaluate) {
              return input;
            }
            planner_.advance();
            return append(plan_dropout(planner_, number, input), layer.name);
          },
          [&](const BatchNorm& norm) {
            planner_.advance();
            return append(plan_batch_norm(planner_, layer.name, norm, input), layer.name);
          },
          [&](const Residual& residual) { return lower_residual(layer.name, residual, input); },
          [&](const auto& what) {
            planner_.advance();
            return append(plan_operation(planner_, layer.name, what, input), layer.name);
          },
      },
      layer.what);
}

Tensor Program::lower_conv(const std::string& name, const Conv& conv, const Tensor& input,
                           const OutputOptions& options) {
  planner_.advance();
  const Shape output = windowed(input.shape, conv.filters, conv.kernel, conv.stride, conv.padding);
  return append(plan_conv(planner_, name, conv, input, output, options), name);
}

Tensor Program::lower_residual(const std::string& name, const Residual& residual, const Tensor& input) {
  planner_.advance();
  PlannedFork fork = plan_fork(planner_, input);
  stages_.push_back(
      {.name = name + ".fork", .operation = std::move(fork.operation), .has_backward = input.needs_gradient});
  ++nesting_;
  const Tensor body = lower(residual.body, fork.body);
  const Tensor shortcut = lower(residual.shortcut, fork.shortcut);
  --nesting_;
  planner_.advance();
  return append(plan_add(planner_, body, shortcut), name + ".add");
}

Tensor Program::append(Planned planned, const std::string& name) {
  stages_.push_back({.name = name,
                     .operation = std::move(planned.operation),
                     .has_backward = planned.output.needs_gradient,
                     .final_floats = final_floats_after(name)});
  return std::move(planned.output);
}

Tensor Program::floats(const Tensor& input) {
  if (input.type() == ElementType::f32) {
    return input;
  }
  planner_.advance();
  return append(plan_floats(planner_, input), "floats");
}

Tensor Program::flat(const Tensor& input) { return reshaped(input, {element_count(input.shape)}); }

Tensor Program::reshaped(const Tensor& input, const Shape& shape) {
  if (input.shape == shape) {
    return input;
  }
  planner_.advance();
  return append(plan_reshape(planner_, input, shape), "reshape");
}

std::size_t Program::final_floats_after(const std::string& layer_name) const {
  const ParameterMemory& memory = planner_.parameters();
  std::int64_t end = 0;
  for (const ParameterSpec& parameter : memory.network->parameters) {
    if (parameter.name.starts_with(layer_name + ".")) {
      end = std::max(end, parameter.offset + parameter.size);
    }
  }
  return static_cast<std::size_t>(end * memory.all_lanes);
}

Status Program::forward(const Step& step) {
  planner_.bind_network_input(step.batch.inputs.data());
  for (const Stage& stage : stages_) {
    RETURN_IF_ERROR(stage.operation->forward(step));
  }
  return {};
}

Status Program::backward(const Step& step) {
  for (std::size_t i = stages_.size(); i-- > 0;) {
    const Stage& stage = stages_[i];
    if (!stage.has_backward) {
      continue;
    }
    RETURN_IF_ERROR(stage.operation->backward(step));
    if (step.exchange != nullptr && stage.final_floats > 0) {
      RETURN_IF_ERROR(step.exchange->ready(stage.final_floats));
    }
  }
  return {};
}

}  // namespace regatta
