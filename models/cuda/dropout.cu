// y = x · mask / (1 - rate), each lane with its own rate and its own mask (see models/dropout.h). Training
// only. The mask is a function of the element's number, so backward makes it again and nothing is kept.
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/random_device.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

constexpr int kWords = 4;  // of one call of the generator

struct DropoutShape {
  std::uint32_t positions = 1;
  std::uint32_t lanes = 1;
  std::uint32_t channels = 1;
  bool channels_first = false;  // how elements are numbered; channels are last in memory always
};

// What one thread has: the four elements whose words come from one call of the generator, or only one
// element.
enum class Piece { one, channels, positions };

// `values` may be `results`.
template <Piece Kind, class Element>
__global__ void drop(RowWork work, DropoutShape shape, const BatchNumbers* batch,
                     const DropoutNumbers* numbers, const Element* values, Element* results) {
  constexpr std::uint32_t kChannels = Kind == Piece::channels ? kWords : 1;
  constexpr std::uint32_t kPositions = Kind == Piece::positions ? kWords : 1;
  const std::uint32_t packs = shape.channels / kChannels;
  const std::int64_t point =
      static_cast<std::int64_t>(shape.lanes) * shape.channels;  // elements to the next one
  const std::uint64_t counters =
      (static_cast<std::uint64_t>(shape.positions) * shape.channels + kWords - 1) / kWords;
  const std::int64_t first_sample = batch->first_sample;
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::uint32_t channel = piece % packs * kChannels;
    const std::uint32_t lane = piece / packs % shape.lanes;
    const std::uint32_t position = piece / packs / shape.lanes * kPositions;
    const std::uint32_t element =
        shape.channels_first ? channel * shape.positions + position : position * shape.channels + channel;
    const DropoutNumbers& of_lane = numbers[lane];
    const PhiloxWords words =
        philox_at(of_lane.key, static_cast<std::uint64_t>(first_sample + row) * counters + element / kWords);
    const std::int64_t at = (row * shape.positions + position) * point +
                            static_cast<std::int64_t>(lane) * shape.channels + channel;
    const auto factor = [&](std::uint32_t word) {
      return words.at[word] >= of_lane.threshold ? of_lane.scale : 0.0F;
    };
    if constexpr (Kind == Piece::channels) {
      Floats<kWords> of_piece = load<kWords>(values + at);
#pragma unroll
      for (std::uint32_t i = 0; i < kWords; ++i) {
        of_piece.at[i] *= factor(i);
      }
      store(of_piece, results + at);
    } else if constexpr (Kind == Piece::positions) {
#pragma unroll
      for (std::uint32_t i = 0; i < kWords; ++i) {
        assign(to_float(values[at + i * point]) * factor(i), results[at + i * point]);
      }
    } else {
      float chosen = factor(0);
#pragma unroll
      for (std::uint32_t i = 1; i < kWords; ++i) {  // without an index that would put the words into memory
        chosen = element % kWords == i ? factor(i) : chosen;
      }
      assign(to_float(values[at]) * chosen, results[at]);
    }
  });
}

class DropoutOperation final : public Operation {
 public:
  DropoutOperation(Planner& planner, int index, const Tensor& input)
      : index_(index),
        input_(input),
        shape_{.positions = static_cast<std::uint32_t>(input.positions()),
               .lanes = static_cast<std::uint32_t>(input.lanes),
               .channels = static_cast<std::uint32_t>(input.channels()),
               .channels_first = input.shape.size() == 3} {
    CHECK(input_.lanes == planner.lanes(), "each lane has its own mask");
    planner.use(input_);
    output_ = planner.allocate_like(input_, input_.type);
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    apply(step, input_, output_);
    return {};
  }

  Status backward(const Step& step) override {
    apply(step, output_gradient_, input_gradient_);
    return {};
  }

 private:
  void apply(const Step& step, const Tensor& values, const Tensor& results) const {
    with_element(input_.type, [&](auto element) {
      using Element = decltype(element);
      if (shape_.channels_first && shape_.positions % kWords == 0) {
        apply<Piece::positions, Element>(step, kWords, values, results);
      } else if (!shape_.channels_first && shape_.channels % kWords == 0) {
        apply<Piece::channels, Element>(step, kWords, values, results);
      } else {
        apply<Piece::one, Element>(step, 1, values, results);
      }
    });
  }

  template <Piece Kind, class Element>
  void apply(const Step& step, std::int64_t elements, const Tensor& values, const Tensor& results) const {
    const RowWork work = row_work(input_.rows, input_.positions() * input_.width() / elements);
    launch(drop<Kind, Element>, launch_shape(work), step.stream, work, shape_, step.numbers.batch,
           step.numbers.dropouts + index_ * static_cast<std::int64_t>(shape_.lanes),
           step.data<const Element>(values), step.data<Element>(results));
  }

  int index_;
  Tensor input_;
  DropoutShape shape_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_dropout(Planner& planner, int index, const Tensor& input) {
  auto operation = std::make_unique<DropoutOperation>(planner, index, input);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda
