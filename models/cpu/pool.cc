// Largest or mean value of each window. Max pooling remembers where the largest value was, so that backward
// only scatters.
#include "models/cpu/operations.h"

namespace regatta {
namespace {

class PoolOperation final : public Operation {
 public:
  PoolOperation(Planner& planner, const Pool& pool, Tensor input, const Shape& output)
      : pool_(pool), input_(std::move(input)), plan_(make_forward(planner, output)) {
    planner.use(input_);
    output_ = planner.allocate(output, plan_.dst_desc());
    output_.needs_gradient = input_.needs_gradient;
    const bool remembers = plan_.workspace_desc().get_size() > 0;
    if (remembers) {
      places_ = planner.allocate({}, plan_.workspace_desc());
    }
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      Arguments arguments = {{DNNL_ARG_SRC, input_.lanes[index]},
                             {DNNL_ARG_DST, output_.lanes[index]},
                             planner.scratchpad(plan_.scratchpad_desc())};
      if (remembers) {
        arguments.emplace_back(DNNL_ARG_WORKSPACE, places_.lanes[index]);
      }
      forward_.add(lane, dnnl::pooling_forward(plan_), arguments);
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    const Tensor output_gradient = planner.gradient_like(output_, backward_);
    const Tensor input_gradient = planner.allocate(input_.shape, input_.layout);
    const dnnl::pooling_backward::primitive_desc plan(
        dnnl::pooling_backward::desc(algorithm(), input_.layout, output_.layout, strides(), window(), zeros(),
                                     zeros()),
        arena_scratchpad(), planner.engine(), plan_);
    if (!places_.lanes.empty()) {
      planner.use(places_);
    }
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      Arguments arguments = {{DNNL_ARG_DIFF_DST, output_gradient.lanes[index]},
                             {DNNL_ARG_DIFF_SRC, input_gradient.lanes[index]},
                             planner.scratchpad(plan.scratchpad_desc())};
      if (!places_.lanes.empty()) {
        arguments.emplace_back(DNNL_ARG_WORKSPACE, places_.lanes[index]);
      }
      backward_.add(lane, dnnl::pooling_backward(plan), arguments);
    }
    planner.set_gradient(input_, input_gradient);
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
  dnnl::pooling_forward::primitive_desc make_forward(const Planner& planner, const Shape& output) const {
    const auto purpose = planner.phase() == Phase::train ? dnnl::prop_kind::forward_training
                                                         : dnnl::prop_kind::forward_inference;
    const Layout output_any({planner.rows(), output[0], output[1], output[2]}, input_.type(),
                            dnnl::memory::format_tag::any);
    return {dnnl::pooling_forward::desc(purpose, algorithm(), input_.layout, output_any, strides(), window(),
                                        zeros(), zeros()),
            arena_scratchpad(), planner.engine()};
  }

  dnnl::algorithm algorithm() const {
    return pool_.kind == Pool::Kind::max ? dnnl::algorithm::pooling_max
                                         : dnnl::algorithm::pooling_avg_exclude_padding;
  }
  dnnl::memory::dims window() const { return {pool_.size, pool_.size}; }
  dnnl::memory::dims strides() const { return {pool_.stride, pool_.stride}; }
  static dnnl::memory::dims zeros() { return {0, 0}; }

  Pool pool_;
  Tensor input_;
  dnnl::pooling_forward::primitive_desc plan_;
  Tensor output_;
  Tensor places_;  // oneDNN's workspace; none for averages and for evaluation
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_pool(Planner& planner, const Pool& pool, const Tensor& input, const Shape& output) {
  auto operation = std::make_unique<PoolOperation>(planner, pool, input, output);
  Tensor result = operation->output();
  return {std::move(operation), std::move(result)};
}

}  // namespace regatta
