// y = x · mask / (1 - rate), each lane with its own rate and its own mask (see models/dropout.h). Training
// only.
#include "models/dropout.h"

#include "base/multiversion.h"
#include "models/cpu/channel_layout.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

// One row; the mask's elements stand in row-major order, the values' in the layout's.
REGATTA_MULTIVERSION
void apply_mask(const ChannelLayout& layout, const float* values, const std::uint8_t* mask, float scale,
                float* results) {
  if (layout.pixels == 1 || layout.block == 1) {  // row-major, too
    const std::int64_t size = layout.channels * layout.pixels;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) {
      results[i] = values[i] * (mask[i] != 0 ? scale : 0.0F);
    }
    for (std::int64_t i = size; i < layout.row_floats(); ++i) {
      results[i] = 0;
    }
    return;
  }
  for (std::int64_t block = 0; block < layout.blocks; ++block) {
    for (std::int64_t pixel = 0; pixel < layout.pixels; ++pixel) {
      for (std::int64_t c = 0; c < layout.block; ++c) {
        const std::int64_t channel = block * layout.block + c;
        const std::int64_t at = (block * layout.pixels + pixel) * layout.block + c;
        const bool kept = channel < layout.channels && mask[channel * layout.pixels + pixel] != 0;
        results[at] = values[at] * (kept ? scale : 0.0F);
      }
    }
  }
}

class DropoutOperation final : public Operation {
 public:
  DropoutOperation(Planner& planner, int number, Tensor input)
      : number_(number),
        input_(std::move(input)),
        layout_(channel_layout(mask_order(planner.rows(), input_))),
        elements_(element_count(input_.shape)),
        masks_(planner.allocate_bytes(static_cast<std::size_t>(planner.rows() * elements_))) {
    planner.use(input_);
    output_ = input_.may_overwrite ? planner.view(input_, input_.shape, input_.layout)
                                   : planner.allocate(input_.shape, input_.layout);
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    planner.use(masks_);
    output_gradient_ = planner.gradient_like(output_, reorders_);
    input_gradient_ =
        output_gradient_.may_overwrite ? output_gradient_ : planner.allocate(output_.shape, output_.layout);
    planner.set_gradient(input_, input_gradient_);
  }

  Status forward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      const LaneRun& run = step.lanes[static_cast<std::size_t>(lane)];
      const std::uint64_t key = dropout_key(run.seed, number_, run.step);
      const double dropped = rate(step, lane);
      for_rows(step, lane, [&](std::int64_t row, float scale) {
        const std::span mask(mask_of(lane, row), static_cast<std::size_t>(elements_));
        fill_dropout_mask(key, dropped, step.batch.first_sample + row, mask);
        const std::int64_t at = row * layout_.row_floats();
        apply_mask(layout_, input_.data(lane) + at, mask.data(), scale, output_.data(lane) + at);
      });
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    step.for_active_lanes([&](int lane) {
      for_rows(step, lane, [&](std::int64_t row, float scale) {
        const std::int64_t at = row * layout_.row_floats();
        apply_mask(layout_, output_gradient_.data(lane) + at, mask_of(lane, row), scale,
                   input_gradient_.data(lane) + at);
      });
    });
    return {};
  }

 private:
  // A sequence's elements stand in row-major order, as the mask's do.
  static Layout mask_order(std::int64_t rows, const Tensor& input) {
    return is_sequence(input.shape) ? plain_layout(rows, {element_count(input.shape)}) : input.layout;
  }
  double rate(const Step& step, int lane) const {
    return step.lanes[static_cast<std::size_t>(lane)].dropout_rates[static_cast<std::size_t>(number_)];
  }
  std::uint8_t* mask_of(int lane, std::int64_t row) const {
    return static_cast<std::uint8_t*>(masks_.lanes[static_cast<std::size_t>(lane)].get_data_handle()) +
           row * elements_;
  }

  // All rows of the plan, used or not: an unused row's values must stay finite.
  template <class Function>
  void for_rows(const Step& step, int lane, const Function& function) const {
    const auto scale = static_cast<float>(1 / (1 - rate(step, lane)));
    parallel_for(layout_.rows, step.threads, [&](std::int64_t row) { function(row, scale); });
  }

  int number_;
  Tensor input_;
  ChannelLayout layout_;
  std::int64_t elements_;
  Tensor masks_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  CallSequence reorders_;
};

}  // namespace

Planned plan_dropout(Planner& planner, int index, const Tensor& input) {
  auto operation = std::make_unique<DropoutOperation>(planner, index, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
