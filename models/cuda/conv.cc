// Convolutions of all lanes at once: one wide convolution where they share the input, else a group for each
// lane and group.
#include "models/cuda/add_bias.h"
#include "models/cuda/column_sums.h"
#include "models/cuda/convert.h"
#include "models/cuda/convolution.h"
#include "models/cuda/operations.h"

namespace regatta::cuda {
namespace {

class ConvOperation final : public Operation {
 public:
  ConvOperation(Planner& planner, const std::string& name, const Conv& conv, const Tensor& input)
      : conv_(conv),
        input_(input),
        weight_(planner.parameters().product_weight(name + ".weight")),
        weight_gradient_(planner.parameters().gradient(name + ".weight")) {
    if (conv.bias) {
      bias_ = planner.parameters().weight(name + ".bias");
      bias_gradient_ = planner.parameters().gradient(name + ".bias");
    }
  }

  Status plan_forward(Planner& planner, const Shape& output, Ending ending) {
    RETURN_IF_ERROR(prepare_input(planner));
    planner.use(read_);
    output_ = planner.allocate(output);
    output_.needs_gradient = true;
    const std::int64_t lanes = planner.lanes();
    const ConvolutionShape shape{.rows = planner.rows(),
                                 .channels = read_.width(),
                                 .height = read_.shape[1],
                                 .width = read_.shape[2],
                                 .filters = lanes * conv_.filters,
                                 .kernel = conv_.kernel,
                                 .stride = conv_.stride,
                                 .padding = conv_.padding,
                                 .groups = read_.lanes < lanes ? 1 : lanes * conv_.groups,
                                 .type = planner.type(),
                                 .math = planner.math()};
    const bool trains = planner.phase() == Phase::train;
    ASSIGN_OR_RETURN(convolution_,
                     plan_convolution(*planner.libraries().dnn, shape,
                                      {.bias = bias_ != nullptr,
                                       .relu = ending == Ending::relu,
                                       .needs_weight_gradient = trains,
                                       .needs_input_gradient = trains && input_.needs_gradient}));
    relu_ = ending == Ending::relu && !convolution_->plan().relu_fused;
    forward_workspace_ = planner.workspace(convolution_->workspace_bytes());
    return {};
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    planner.use(read_);
    backward_workspace_ = planner.workspace(convolution_->workspace_bytes());
    if (convolution_->weight_gradient_type() != ElementType::f32) {
      const std::int64_t of_filter = conv_.kernel * conv_.kernel * (input_.channels() / conv_.groups);
      converted_ = planner.allocate_values(output_.width() * of_filter, convolution_->weight_gradient_type());
    }
    if (bias_ != nullptr) {
      bias_sums_.emplace(planner, output_gradient_.points(), output_gradient_.width(),
                         output_gradient_.width(), output_gradient_.type);
    }
    const bool has_room_beside = planner.has_side_branch() && leaves_card_idle(output_.size());
    if (has_room_beside && bias_sums_) {
      sums_beside_ = true;
      planner.use_to_the_end(output_gradient_);
      planner.use_to_the_end(bias_sums_->partial());
    }
    if (!input_.needs_gradient) {
      return {};
    }
    if (has_room_beside) {
      put_beside(planner);
    }
    read_gradient_ = planner.allocate_like(read_, read_.type);
    planner.set_gradient(read_, read_gradient_);
    return preparation_ ? preparation_->plan_backward(planner) : Status();
  }

  Status forward(const Step& step) override {
    if (preparation_) {
      RETURN_IF_ERROR(preparation_->forward(step));
    }
    const bool bias_fused = convolution_->plan().bias_fused;
    convolution_->set_workspace(step.data(forward_workspace_));
    RETURN_IF_ERROR(convolution_->forward(step.stream, step.data(read_), weight_,
                                          bias_fused ? bias_ : nullptr, step.data(output_)));
    const float* const bias = bias_fused ? nullptr : bias_;
    if (bias != nullptr || relu_) {
      add_bias(step.stream, output_.points(), output_.width(), output_.type, bias, relu_, step.data(output_));
    }
    return {};
  }

  Status backward(const Step& step) override {
    if (sums_beside_) {
      ASSIGN_OR_RETURN(const Step beside, step.beside());
      bias_sums_->enqueue(beside, step.data(output_gradient_), bias_gradient_);
    }
    if (side_workspace_) {
      ASSIGN_OR_RETURN(const Step beside, step.beside());
      RETURN_IF_ERROR(backward_weights(beside, *side_workspace_));
    } else {
      RETURN_IF_ERROR(backward_weights(step, backward_workspace_));
    }
    if (!input_.needs_gradient) {
      return {};
    }
    convolution_->set_workspace(step.data(backward_workspace_));
    RETURN_IF_ERROR(convolution_->backward_data(step.stream, step.data(output_gradient_), weight_,
                                                step.data(read_gradient_)));
    return preparation_ ? preparation_->backward(step) : Status();
  }

 private:
  // The weights' gradient beside the input's: what it reads and its memory stay to the end.
  void put_beside(Planner& planner) {
    side_workspace_ = planner.side_workspace(convolution_->workspace_bytes());
    planner.use_to_the_end(read_);
    planner.use_to_the_end(output_gradient_);
    if (converted_) {
      planner.use_to_the_end(*converted_);
    }
  }

  Status backward_weights(const Step& step, const Tensor& workspace) {
    const void* const gradient = step.data(output_gradient_);
    convolution_->set_workspace(step.data(workspace));
    void* const weight_gradient = converted_ ? step.data(*converted_) : weight_gradient_;
    RETURN_IF_ERROR(convolution_->backward_weights(step.stream, step.data(read_), gradient, weight_gradient));
    if (converted_) {
      convert(step.stream, converted_->size(), converted_->type, weight_gradient, ElementType::f32,
              weight_gradient_);
    }
    if (bias_sums_ && !sums_beside_) {
      bias_sums_->enqueue(step, gradient, bias_gradient_);
    }
    return {};
  }

  // What lanes share stays shared unless there are groups: each lane's groups need the input at their places.
  Status prepare_input(Planner& planner) {
    read_ = input_;
    const int lanes = conv_.groups > 1 ? planner.lanes() : input_.lanes;
    if (input_.lanes != lanes || input_.type != planner.type()) {
      ASSIGN_OR_RETURN(Planned prepared, plan_reshape(planner, input_, input_.shape, planner.type(), lanes));
      preparation_ = std::move(prepared.operation);
      read_ = std::move(prepared.output);
    }
    return {};
  }

  Conv conv_;
  Tensor input_;
  const void* weight_;
  float* weight_gradient_;
  const float* bias_ = nullptr;
  float* bias_gradient_ = nullptr;
  std::unique_ptr<Operation> preparation_;
  Tensor read_;        // the input as the convolution takes it
  bool relu_ = false;  // is left for a kernel of ours
  std::unique_ptr<Convolution> convolution_;
  Tensor forward_workspace_;
  Tensor backward_workspace_;
  std::optional<Tensor> side_workspace_;  // of work on the side branch
  std::optional<Tensor> converted_;       // dW where cuDNN writes another type
  std::optional<ColumnSums> bias_sums_;
  bool sums_beside_ = false;
  Tensor output_;
  Tensor output_gradient_;
  Tensor read_gradient_;
};

}  // namespace

Result<Planned> plan_conv(Planner& planner, const std::string& name, const Conv& conv, const Tensor& input,
                          const Shape& output, Ending ending) {
  auto operation = std::make_unique<ConvOperation>(planner, name, conv, input);
  RETURN_IF_ERROR(operation->plan_forward(planner, output, ending));
  Tensor result = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(result)};
}

}  // namespace regatta::cuda
