// Lowers layers to operations and runs them.
#include "models/cuda/program.h"

#include <algorithm>

#include "base/overloaded.h"

namespace regatta::cuda {
namespace {

bool is_image(const Shape& shape) { return shape.size() == 3; }

bool is_relu(const std::vector<Layer>& layers, std::size_t index) {
  const auto* activation = index < layers.size() ? std::get_if<Activation>(&layers[index].what) : nullptr;
  return activation != nullptr && activation->kind == Activation::Kind::relu;
}

// Whether `layer` applies a relu that follows it: along with its bias, or as it writes what it leaves.
bool applies_relu(const Layer& layer) {
  return std::visit(
      Overloaded{[](const Dense& dense) { return dense.bias; }, [](const Conv& conv) { return conv.bias; },
                 [](const Depthwise& depthwise) { return depthwise.bias; },
                 [](const BatchNorm&) { return true; }, [](const Residual&) { return true; },
                 [](const auto&) { return false; }},
      layer.what);
}

Ending ending_of(const std::vector<Layer>& layers, std::size_t index) {
  return applies_relu(layers[index]) && is_relu(layers, index + 1) ? Ending::relu : Ending::none;
}

// relu(max(x)) = max(relu(x)), with fewer values to clamp, and to mask on the way back.
bool may_swap(const std::vector<Layer>& layers, std::size_t index) {
  const auto* pool = index + 1 < layers.size() ? std::get_if<Pool>(&layers[index + 1].what) : nullptr;
  const bool applied = index > 0 && applies_relu(layers[index - 1]);
  return is_relu(layers, index) && !applied && pool != nullptr && pool->kind == Pool::Kind::max;
}

Shape windowed(const Shape& image, std::int64_t channels, std::int64_t window, std::int64_t stride,
               std::int64_t padding) {
  return {channels, window_positions(image[1], window, stride, padding),
          window_positions(image[2], window, stride, padding)};
}

// As the host numbers an image's values, channel by channel, it stands channel-last.
InputLayout layout_of(const Tensor& input) {
  InputLayout layout{.type = input.type};
  if (is_image(input.shape)) {
    layout.positions = static_cast<std::uint32_t>(input.positions());
    layout.channels = static_cast<std::uint32_t>(input.channels());
  }
  return layout;
}

MathMode math_of(const TrainConfig& train) {
  switch (train.precision) {
    case Precision::fp32:
      return MathMode::fp32;
    case Precision::tf32:
      return MathMode::tf32;
    case Precision::bf16:
      return MathMode::bf16;
  }
  check_failed("a known precision", __FILE__, __LINE__);
}

}  // namespace

Program::Program(Libraries& libraries, const Parameters& parameters, MathMode math,
                 const ProgramOptions& options)
    : planner_(libraries, options.phase, options.rows, parameters, math, options.has_side_branch) {}

Result<std::unique_ptr<Program>> Program::plan(Libraries& libraries, const Parameters& parameters,
                                               const ModelConfig& config, const ProgramOptions& options) {
  auto program = std::unique_ptr<Program>(new Program(libraries, parameters, math_of(config.train), options));
  RETURN_IF_ERROR(program->plan_stages(config, options));
  return program;
}

Status Program::plan_stages(const ModelConfig& config, const ProgramOptions& options) {
  input_shape_ = config.network.input;
  ASSIGN_OR_RETURN(Tensor output,
                   lower(config.network.layers,
                         planner_.network_input({element_count(config.network.input)}, ElementType::f32)));
  const Shape flat = is_sequence(output.shape) ? output.shape : Shape{element_count(output.shape)};
  ASSIGN_OR_RETURN(output, reshaped(output, flat, output.type, planner_.lanes()));
  planner_.advance();
  ASSIGN_OR_RETURN(auto loss, plan_loss(planner_, config.train, output, options.global_batch, options.loss));
  stages_.push_back({.name = "loss", .operation = std::move(loss), .has_backward = output.needs_gradient});
  if (options.phase == Phase::train) {
    for (std::size_t i = stages_.size(); i-- > 0;) {
      planner_.advance();
      if (stages_[i].has_backward) {
        RETURN_IF_ERROR(stages_[i].operation->plan_backward(planner_));
      }
    }
  }
  arena_bytes_ = planner_.arrange();
  const auto counter_bytes = static_cast<std::size_t>(planner_.counters()) * sizeof(unsigned);
  ASSIGN_OR_RETURN(counters_, DeviceMemory::allocate(counter_bytes, "the counters of a step"));
  return {};
}

Result<Tensor> Program::lower(const std::vector<Layer>& layers, Tensor input) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (may_swap(layers, i)) {
      ASSIGN_OR_RETURN(input, lower(layers, i + 1, input));
      ASSIGN_OR_RETURN(input, lower(layers, i, input));
      ++i;
    } else {
      ASSIGN_OR_RETURN(input, lower(layers, i, input));
    }
  }
  return input;
}

// The batch's feed writes the network's input in the order and type that the first layer that computes reads;
// only a copy for each lane is left to do. Layers that only name another shape wait for that one.
Result<Tensor> Program::prepared(const Layer& layer, const Tensor& input) {
  if (!is_raw(input)) {
    return input;
  }
  const bool shares = std::visit(
      Overloaded{[](const Dense&) { return true; }, [](const Embedding&) { return true; },
                 [](const Conv& conv) { return conv.groups == 1; }, [](const auto&) { return false; }},
      layer.what);
  const bool reads_numbers = std::holds_alternative<Embedding>(layer.what);
  const bool flattens = std::holds_alternative<Dense>(layer.what) && is_image(input_shape_);
  const Shape shape = flattens ? input.shape : input_shape_;
  const Tensor laid_out = planner_.network_input(shape, reads_numbers ? ElementType::f32 : planner_.type());
  input_layout_ = layout_of(laid_out);
  input_is_laid_out_ = true;
  return reshaped(laid_out, shape, laid_out.type, shares ? 1 : planner_.lanes());
}

bool Program::is_raw(const Tensor& tensor) const { return !tensor.buffer && !input_is_laid_out_; }

// A relu behind a layer that applies it keeps the backward part; batch norm does that as well.
Result<Tensor> Program::lower(const std::vector<Layer>& layers, std::size_t index, const Tensor& raw) {
  const Layer& layer = layers[index];
  if (is_raw(raw)) {
    if (std::holds_alternative<Flatten>(layer.what)) {
      input_shape_ = {element_count(input_shape_)};
      return raw;
    }
    if (const auto* reshape = std::get_if<Reshape>(&layer.what)) {
      input_shape_ = reshape->shape;
      return raw;
    }
  }
  ASSIGN_OR_RETURN(const Tensor input, prepared(layer, raw));
  const Ending ending = ending_of(layers, index);
  const Shape& shape = input.shape;
  return std::visit(
      Overloaded{
          [&](const Dense& dense) -> Result<Tensor> {
            const Shape features = is_image(shape) ? Shape{element_count(shape)} : shape;
            ASSIGN_OR_RETURN(const Tensor read, reshaped(input, features, input.type, input.lanes));
            planner_.advance();
            return append(plan_dense(planner_, layer.name, dense, read, ending), layer.name);
          },
          [&](const Conv& conv) { return lower_conv(layer.name, conv, input, ending); },
          [&](const Depthwise& depthwise) {
            return lower_conv(layer.name, as_conv(depthwise, shape[0]), input, ending);
          },
          [&](const Pool& pool) {
            planner_.advance();
            return append(
                plan_pool(planner_, pool, input, windowed(shape, shape[0], pool.size, pool.stride, 0)),
                layer.name);
          },
          [&](const GlobalPool& pool) {
            planner_.advance();
            return append(plan_global_pool(planner_, pool, input), layer.name);
          },
          [&](const Activation& activation) -> Result<Tensor> {
            const bool applied =
                index > 0 && activation.kind == Activation::Kind::relu && applies_relu(layers[index - 1]);
            if (applied && std::holds_alternative<BatchNorm>(layers[index - 1].what)) {
              return input;
            }
            planner_.advance();
            return append(plan_activation(planner_, activation, input,
                                          applied ? ActivationForward::applied : ActivationForward::needed),
                          layer.name);
          },
          [&](const Flatten&) { return reshaped(input, {element_count(shape)}, input.type, input.lanes); },
          [&](const Reshape& reshape) { return reshaped(input, reshape.shape, input.type, input.lanes); },
          [&](const Dropout&) -> Result<Tensor> {
            const int number = dropouts_++;
            if (planner_.phase() == Phase::evaluate) {
              return input;
            }
            planner_.advance();
            return append(plan_dropout(planner_, number, input), layer.name);
          },
          [&](const BatchNorm& norm) {
            planner_.advance();
            return append(plan_batch_norm(planner_, layer.name, norm, input, ending), layer.name);
          },
          [&](const Residual& residual) { return lower_residual(layer.name, residual, input, ending); },
          [&](const auto& what) {
            planner_.advance();
            return append(plan_operation(planner_, layer.name, what, input), layer.name);
          },
      },
      layer.what);
}

Result<Tensor> Program::lower_conv(const std::string& name, const Conv& conv, const Tensor& input,
                                   Ending ending) {
  planner_.advance();
  const Shape output = windowed(input.shape, conv.filters, conv.kernel, conv.stride, conv.padding);
  return append(plan_conv(planner_, name, conv, input, output, ending), name);
}

Result<Tensor> Program::lower_residual(const std::string& name, const Residual& residual, const Tensor& input,
                                       Ending ending) {
  planner_.advance();
  PlannedFork fork = plan_fork(planner_, input);
  stages_.push_back(
      {.name = name + ".fork", .operation = std::move(fork.operation), .has_backward = input.needs_gradient});
  ASSIGN_OR_RETURN(const Tensor body, lower(residual.body, fork.body));
  ASSIGN_OR_RETURN(const Tensor shortcut, lower(residual.shortcut, fork.shortcut));
  planner_.advance();
  return append(plan_add(planner_, body, shortcut, ending), name + ".add");
}

Result<Tensor> Program::append(Result<Planned> planned, const std::string& name) {
  ASSIGN_OR_RETURN(Planned made, std::move(planned));
  stages_.push_back({.name = name,
                     .operation = std::move(made.operation),
                     .has_backward = made.output.needs_gradient,
                     .final_floats = final_floats_after(name)});
  return std::move(made.output);
}

Result<Tensor> Program::reshaped(const Tensor& input, const Shape& shape, ElementType type, int lanes) {
  if (input.shape == shape && input.type == type && input.lanes == lanes) {
    return input;
  }
  planner_.advance();
  return append(plan_reshape(planner_, input, shape, type, lanes), "reshape");
}

std::size_t Program::final_floats_after(const std::string& layer_name) const {
  const auto& blocks = planner_.parameters().blocks();
  std::int64_t end = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].spec->name.starts_with(layer_name + ".")) {
      end = i + 1 < blocks.size() ? blocks[i + 1].offset : planner_.parameters().floats();
    }
  }
  return static_cast<std::size_t>(end);
}

Status Program::forward(const Step& step) {
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
      RETURN_IF_ERROR(
          step.exchange->ready(planner_.parameters().gradients(), stage.final_floats, step.stream));
    }
  }
  return step.side != nullptr ? step.side->join(step.stream) : Status();
}

}  // namespace regatta::cuda
