// Multi-head self-attention. Vaswani et al. 2017, section 3.2. For each row, lane and head, with d features a
// head:
//
//   [Q K V] = x W_inᵀ + b_in,  P = softmax(Q Kᵀ / √d),  O = P V,  y = [O of all heads] W_outᵀ + b_out
//
// What is between the projections is in mixing_fused.cc and, for what cannot be fused,
// mixing_products.cc.
#include "base/log.h"
#include "models/cuda/attention_mixing.h"
#include "models/cuda/operations.h"
#include "models/cuda/projection.h"

namespace regatta::cuda {
namespace {

class AttentionOperation final : public Operation {
 public:
  AttentionOperation(Planner& planner, const std::string& name, const Attention& attention, Tensor input)
      : input_(std::move(input)),
        shape_{.type = planner.type(),
               .rows = input_.rows,
               .positions = input_.positions(),
               .lanes = input_.lanes,
               .heads = attention.heads,
               .size = input_.channels() / attention.heads,
               .causal = attention.causal},
        in_(planner, name + ".in_proj_weight", name + ".in_proj_bias", projection(3)),
        out_(planner, name + ".out_proj.weight", name + ".out_proj.bias", projection(1)) {
    CHECK(input_.lanes == planner.lanes() && input_.type == planner.type());
  }

  Status plan_forward(Planner& planner) {
    planner.use(input_);
    output_ = planner.allocate_like(input_, input_.type);
    output_.needs_gradient = true;
    mixed_ = planner.allocate_like(input_, input_.type);
    projected_ = planner.allocate_values(3 * input_.size(), input_.type);
    RETURN_IF_ERROR(in_.plan_forward(planner));
    auto fused = mix_fused(planner, shape_);
    if (!fused.ok() && planner.libraries().told.insert(fused.error().message).second) {
      spdlog::info("attention by products: {}", fused.error().message);
    }
    mixing_ = fused.ok() ? std::move(*fused) : mix_by_products(planner.math(), shape_);
    RETURN_IF_ERROR(mixing_->plan_forward(planner, projected_, mixed_));
    return out_.plan_forward(planner);
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    for (const Tensor* kept : {&input_, &mixed_, &output_gradient_}) {
      planner.use(*kept);
    }
    mixed_gradient_ = planner.allocate_values(input_.size(), input_.type);
    projected_gradient_ = planner.allocate_values(3 * input_.size(), input_.type);
    RETURN_IF_ERROR(out_.plan_backward(planner, Projection::InputGradient::needed));
    out_.put_weights_beside(planner, mixed_, output_gradient_);
    RETURN_IF_ERROR(mixing_->plan_backward(planner, mixed_gradient_, projected_gradient_));
    if (!input_.needs_gradient) {
      return in_.plan_backward(planner, Projection::InputGradient::unneeded);
    }
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    RETURN_IF_ERROR(in_.plan_backward(planner, Projection::InputGradient::needed));
    in_.put_weights_beside(planner, input_, projected_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    RETURN_IF_ERROR(in_.forward(step, step.data(input_), step.data(projected_)));
    RETURN_IF_ERROR(mixing_->forward(step));
    return out_.forward(step, step.data(mixed_), step.data(output_));
  }

  Status backward(const Step& step) override {
    RETURN_IF_ERROR(
        out_.backward(step, step.data(mixed_), step.data(output_gradient_), step.data(mixed_gradient_)));
    RETURN_IF_ERROR(mixing_->backward(step));
    return in_.backward(step, step.data(input_), step.data(projected_gradient_),
                        input_.needs_gradient ? step.data(input_gradient_) : nullptr);
  }

 private:
  // To so many parts of the features.
  ProjectionShape projection(std::int64_t parts) const {
    return {.batches = input_.lanes,
            .points = input_.points(),
            .inputs = input_.channels(),
            .outputs = parts * input_.channels(),
            .x_row = input_.width(),
            .y_row = parts * input_.width()};
  }

  Tensor input_;
  MixingShape shape_;
  Projection in_;
  Projection out_;
  std::unique_ptr<HeadMixing> mixing_;
  Tensor output_;
  Tensor projected_;  // [Q K V]
  Tensor mixed_;      // O
  Tensor output_gradient_;
  Tensor mixed_gradient_;
  Tensor projected_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string& name, const Attention& attention,
                               const Tensor& input) {
  auto operation = std::make_unique<AttentionOperation>(planner, name, attention, input);
  RETURN_IF_ERROR(operation->plan_forward(planner));
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda
