// y = gelu(x) Wᵀ + b, a block of rows at a time: gelu(x) is computed again in backward, from what gelu's own
// gradient needs anyway, and neither it nor its gradient ever stands in memory as a whole.
//
//   dh = dy W,  dx = dh gelu'(x),  dW = Σ dyᵀ gelu(x) over the blocks, in their order
#include "models/cpu/gelu_kernels.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"
#include "models/cpu/products.h"
#include "models/cpu/row_blocks.h"

namespace regatta {
namespace {

class GeluDenseOperation final : public Operation {
 public:
  GeluDenseOperation(Planner& planner, const std::string& name, const Dense& dense, Tensor input,
                     const OutputOptions& options)
      : precision_(planner.precision()),
        inputs_(dense_inputs(input.shape)),
        units_(dense.units),
        weight_(name + ".weight"),
        bias_(dense.bias ? name + ".bias" : ""),
        input_(std::move(input)),
        output_(
            planner.allocate(dense_output(input_.shape, units_),
                             plain_layout(planner.rows(), dense_output(input_.shape, units_), options.type))),
        rows_(output_.element_count() / units_),
        block_rows_(rows_of_block(rows_, inputs_ * static_cast<std::int64_t>(sizeof(float)))),
        activated_(planner.temporary(matrix(block_rows_, inputs_, precision_))) {
    CHECK(input_.layout == plain_layout(planner.rows(), input_.shape));
    planner.use(input_);
    output_.needs_gradient = true;
    const auto weights = planner.weights_as(weight_, transposed(inputs_, units_),
                                            transposed(inputs_, units_, precision_), forward_);
    Products products(planner, forward_);
    for (const RowBlock& block : blocks_of(rows_, block_rows_)) {
      const dnnl::memory activated = planner.same_memory(activated_, matrix(block.rows, inputs_, precision_));
      const Tensor outputs =
          planner.part(output_, matrix(block.rows, units_, options.type), block.begin * units_);
      for (int lane = 0; lane < planner.lanes(); ++lane) {
        const auto index = static_cast<std::size_t>(lane);
        forward_.add(lane, [this, lane, block](const Step& step) { activate(step, lane, block); });
        products.add(lane,
                     {.left = activated,
                      .right = weights[index],
                      .bias = bias_.empty() ? dnnl::memory() : planner.weight(bias_, matrix(1, units_), lane),
                      .result = outputs.lanes[index],
                      .after = ending_operations(options.ending)});
      }
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    planner.use(input_);
    output_gradient_ = planner.gradient(output_);
    const Tensor gradients = planner.converted(
        output_gradient_, plain_layout(planner.rows(), output_.shape, precision_), backward_);
    activated_again_ = planner.temporary(matrix(block_rows_, inputs_, precision_));
    activated_gradient_ = planner.temporary(matrix(block_rows_, inputs_));
    if (input_.needs_gradient) {
      // Nobody else reads x, so that dx may take its place.
      input_gradient_ = input_.may_overwrite ? planner.view(input_, input_.shape, input_.layout)
                                             : planner.allocate(input_.shape, input_.layout);
      planner.set_gradient(input_, input_gradient_);
    }
    plan_blocks(planner, gradients);
    for (int lane = 0; lane < planner.lanes() && !bias_.empty(); ++lane) {
      bias_gradients_.push_back(planner.parameters().gradient(bias_, lane));
    }
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  Status backward(const Step& step) override {
    backward_.run(step);
    if (!bias_.empty()) {
      step.for_active_lanes([&](int lane) {
        column_sums(output_gradient_, lane, units_, bias_gradients_[static_cast<std::size_t>(lane)]);
      });
    }
    return {};
  }

 private:
  void plan_blocks(Planner& planner, const Tensor& gradients) {
    const auto weights =
        planner.weights_as(weight_, matrix(units_, inputs_), matrix(units_, inputs_, precision_), backward_);
    Products products(planner, backward_);
    for (const RowBlock& block : blocks_of(rows_, block_rows_)) {
      const std::int64_t at = block.begin * units_;
      const Tensor rows = planner.part(gradients, matrix(block.rows, units_, precision_), at);
      const Tensor turned = planner.part(gradients, transposed(units_, block.rows, precision_), at);
      const dnnl::memory activated =
          planner.same_memory(activated_again_, matrix(block.rows, inputs_, precision_));
      const dnnl::memory activated_gradient =
          planner.same_memory(activated_gradient_, matrix(block.rows, inputs_));
      for (int lane = 0; lane < planner.lanes(); ++lane) {
        const auto index = static_cast<std::size_t>(lane);
        if (input_.needs_gradient) {
          products.add(lane,
                       {.left = rows.lanes[index], .right = weights[index], .result = activated_gradient});
        }
        backward_.add(lane, [this, lane, block](const Step& step) { go_back(step, lane, block); });
        products.add(lane, {.left = turned.lanes[index],
                            .right = activated,
                            .result = planner.gradient_of_weight(weight_, matrix(units_, inputs_), lane),
                            .after = block.begin > 0 ? adding() : dnnl::post_ops()});
      }
    }
  }

  // function(first element of the block, how many): a thread's share.
  template <class Function>
  void for_chunks(const Step& step, const RowBlock& block, const Function& function) const {
    constexpr std::int64_t kChunk = 16384;
    const std::int64_t size = block.rows * inputs_;
    parallel_for((size + kChunk - 1) / kChunk, step.threads, [&](std::int64_t chunk) {
      function(chunk * kChunk, std::min(kChunk, size - chunk * kChunk));
    });
  }

  // function(its elements), in the type of the products.
  template <class Function>
  void with_activated(const dnnl::memory& activated, const Function& function) const {
    if (precision_ == ElementType::bf16) {
      function(static_cast<Bfloat16*>(activated.get_data_handle()));
    } else {
      function(static_cast<float*>(activated.get_data_handle()));
    }
  }

  void activate(const Step& step, int lane, const RowBlock& block) const {
    const float* const values = input_.data(lane) + block.begin * inputs_;
    with_activated(activated_, [&](auto* activated) {
      for_chunks(step, block, [&](std::int64_t begin, std::int64_t size) {
        gelu(values + begin, size, activated + begin);
      });
    });
  }

  void go_back(const Step& step, int lane, const RowBlock& block) const {
    const float* const values = input_.data(lane) + block.begin * inputs_;
    const auto* const gradients = static_cast<const float*>(activated_gradient_.get_data_handle());
    with_activated(activated_again_, [&](auto* activated) {
      for_chunks(step, block, [&](std::int64_t begin, std::int64_t size) {
        if (input_.needs_gradient) {
          float* const results = input_gradient_.data(lane) + block.begin * inputs_;
          gelu_backward(values + begin, gradients + begin, size, results + begin, activated + begin);
        } else {
          gelu(values + begin, size, activated + begin);
        }
      });
    });
  }

  ElementType precision_;
  std::int64_t inputs_;
  std::int64_t units_;
  std::string weight_;
  std::string bias_;  // empty: none
  Tensor input_;
  Tensor output_;
  std::int64_t rows_;  // positions of sequences count one by one
  std::int64_t block_rows_;
  dnnl::memory activated_;           // gelu(x) of a block
  dnnl::memory activated_again_;     // in backward
  dnnl::memory activated_gradient_;  // dh of a block
  Tensor output_gradient_;
  Tensor input_gradient_;
  std::vector<float*> bias_gradients_;
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_gelu_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                        const OutputOptions& options) {
  auto operation = std::make_unique<GeluDenseOperation>(planner, name, dense, input, options);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
