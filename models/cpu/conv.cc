// Convolutions. Each direction's primitive is asked for its own favourite layouts, because a layout that
// another direction likes can push oneDNN down to its reference code, which is a thousand times slower.
#include "models/cpu/operations.h"

namespace regatta {
namespace {

using dnnl::memory;

Layout any_layout(const memory::dims& sizes, ElementType type) {
  return {sizes, type, memory::format_tag::any};
}

// Groups are an axis of their own to oneDNN; the memory is the same, [filters, channels / groups, k, k].
Layout weight_layout(const Conv& conv, std::int64_t channels) {
  const Shape filter = {channels / conv.groups, conv.kernel, conv.kernel};
  return conv.groups == 1
             ? plain_layout(conv.filters, filter)
             : plain_layout(conv.groups, {conv.filters / conv.groups, filter[0], filter[1], filter[2]});
}

memory::dims sizes_of(std::int64_t rows, const Shape& shape) { return {rows, shape[0], shape[1], shape[2]}; }

class ConvOperation final : public Operation {
 public:
  ConvOperation(Planner& planner, std::string name, const Conv& conv, Tensor input, const Shape& output,
                const OutputOptions& options)
      : weight_(name + ".weight"),
        bias_(conv.bias ? name + ".bias" : ""),
        conv_(conv),
        input_(std::move(input)),
        input_any_(any_layout(sizes_of(planner.rows(), input_.shape), planner.precision())),
        output_any_(any_layout(sizes_of(planner.rows(), output), options.type)),
        output_gradient_any_(any_layout(sizes_of(planner.rows(), output), planner.precision())),
        weight_plain_(weight_layout(conv, input_.shape[0])),
        weight_any_(any_layout(weight_plain_.dims(), planner.precision())),
        bias_plain_({conv.filters}, memory::data_type::f32, memory::format_tag::a),
        plan_(make_forward(planner, options.ending)),
        output_(planner.allocate(output, plan_.dst_desc())) {
    output_.needs_gradient = true;
    read_ = planner.converted(input_, plan_.src_desc(), forward_);
    const auto weights = planner.weights_as(weight_, weight_plain_, plan_.weights_desc(), forward_);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      Arguments arguments = {{DNNL_ARG_SRC, read_.lanes[index]},
                             {DNNL_ARG_WEIGHTS, weights[index]},
                             {DNNL_ARG_DST, output_.lanes[index]},
                             planner.scratchpad(plan_.scratchpad_desc())};
      if (!bias_.empty()) {
        arguments.emplace_back(DNNL_ARG_BIAS, planner.weight(bias_, bias_plain_, lane));
      }
      forward_.add(lane, dnnl::convolution_forward(plan_), arguments);
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    const dnnl::convolution_backward_weights::primitive_desc plan = make_weight_gradient(planner);
    const Tensor gradient = planner.converted(planner.gradient(output_), plan.diff_dst_desc(), backward_);
    plan_weight_gradient(planner, plan, gradient);
    if (input_.needs_gradient) {
      plan_input_gradient(planner, gradient);
    }
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  Status backward(const Step& step) override {
    backward_.run(step);
    return {};
  }

 private:
  dnnl::convolution_forward::primitive_desc make_forward(const Planner& planner, Ending ending) const {
    dnnl::primitive_attr attributes = arena_scratchpad();
    attributes.set_post_ops(ending_operations(ending));
    const auto purpose = planner.phase() == Phase::train ? dnnl::prop_kind::forward_training
                                                         : dnnl::prop_kind::forward_inference;
    // Plain network input is read as it is where the kernels take it, which they do for few channels.
    const auto describe = [&] {
      return bias_.empty()
                 ? dnnl::convolution_forward::desc(purpose, dnnl::algorithm::convolution_direct, input_any_,
                                                   weight_any_, output_any_, strides(), zeros(), zeros())
                 : dnnl::convolution_forward::desc(purpose, dnnl::algorithm::convolution_direct, input_any_,
                                                   weight_any_, bias_plain_, output_any_, strides(), zeros(),
                                                   zeros());
    };
    return {describe(), attributes, planner.engine()};
  }

  dnnl::convolution_backward_weights::primitive_desc make_weight_gradient(const Planner& planner) const {
    const auto direct = dnnl::algorithm::convolution_direct;
    const Layout any = any_layout(weight_plain_.dims(), ElementType::f32);
    const auto description =
        bias_.empty()
            ? dnnl::convolution_backward_weights::desc(direct, input_any_, any, output_gradient_any_,
                                                       strides(), zeros(), zeros())
            : dnnl::convolution_backward_weights::desc(direct, input_any_, any, bias_plain_,
                                                       output_gradient_any_, strides(), zeros(), zeros());
    return {description, arena_scratchpad(), planner.engine(), plan_};
  }

  // dW and db, reordered into the flat buffer where the kernel writes another layout.
  void plan_weight_gradient(Planner& planner, const dnnl::convolution_backward_weights::primitive_desc& plan,
                            const Tensor& gradient) {
    const auto sources = planner.read_as(read_, plan.src_desc(), backward_);
    const Layout wanted = plan.diff_weights_desc();
    const memory blocked = wanted == weight_plain_ ? memory() : planner.temporary(wanted);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      const memory flat = planner.gradient_of_weight(weight_, weight_plain_, lane);
      Arguments arguments = {{DNNL_ARG_SRC, sources[index]},
                             {DNNL_ARG_DIFF_DST, gradient.lanes[index]},
                             {DNNL_ARG_DIFF_WEIGHTS, blocked ? blocked : flat},
                             planner.scratchpad(plan.scratchpad_desc())};
      if (!bias_.empty()) {
        arguments.emplace_back(DNNL_ARG_DIFF_BIAS, planner.gradient_of_weight(bias_, bias_plain_, lane));
      }
      backward_.add(lane, dnnl::convolution_backward_weights(plan), arguments);
      if (blocked) {
        planner.add_reorder(backward_, lane, blocked, flat);
      }
    }
  }

  void plan_input_gradient(Planner& planner, const Tensor& gradient) {
    const Layout result_any = any_layout(sizes_of(planner.rows(), input_.shape), input_.type());
    const dnnl::convolution_backward_data::primitive_desc plan(
        dnnl::convolution_backward_data::desc(dnnl::algorithm::convolution_direct, result_any, weight_any_,
                                              output_gradient_any_, strides(), zeros(), zeros()),
        arena_scratchpad(), planner.engine(), plan_);
    const auto gradients = planner.read_as(gradient, plan.diff_dst_desc(), backward_);
    const auto weights = planner.weights_as(weight_, weight_plain_, plan.weights_desc(), backward_);
    const Tensor result = planner.allocate(input_.shape, plan.diff_src_desc());
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      backward_.add(lane, dnnl::convolution_backward_data(plan),
                    {{DNNL_ARG_DIFF_DST, gradients[index]},
                     {DNNL_ARG_WEIGHTS, weights[index]},
                     {DNNL_ARG_DIFF_SRC, result.lanes[index]},
                     planner.scratchpad(plan.scratchpad_desc())});
    }
    planner.set_gradient(input_, result);
  }

  memory::dims strides() const { return {conv_.stride, conv_.stride}; }
  memory::dims zeros() const { return {conv_.padding, conv_.padding}; }  // on each side

  std::string weight_;
  std::string bias_;  // empty: none
  Conv conv_;
  Tensor input_;
  Tensor read_;  // the input as the kernels want it
  Layout input_any_;
  Layout output_any_;
  Layout output_gradient_any_;
  Layout weight_plain_;
  Layout weight_any_;
  Layout bias_plain_;
  dnnl::convolution_forward::primitive_desc plan_;
  Tensor output_;
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_conv(Planner& planner, const std::string& name, const Conv& conv, const Tensor& input,
                  const Shape& output, const OutputOptions& options) {
  auto operation = std::make_unique<ConvOperation>(planner, name, conv, input, output, options);
  Tensor result = operation->output();
  return {std::move(operation), std::move(result)};
}

}  // namespace regatta
