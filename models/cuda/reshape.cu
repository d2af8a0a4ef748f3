// The same values under another shape, type or number of lanes. Images stand channel-last here, but their
// values are numbered channel by channel, so that images become features in the order that the host knows.
#include "models/cuda/convert.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

// Where the values of one lane stand within a row: value v at point v / channels, or, channels first, at
// v % positions. `lanes` is 1 where all share them.
struct Order {
  std::uint32_t positions = 1;
  std::uint32_t channels = 1;
  std::uint32_t lanes = 1;
  bool channels_first = false;

  friend bool operator==(const Order&, const Order&) = default;
};

Order order_of(const Shape& shape, int lanes) {
  const Tensor tensor{.shape = shape, .lanes = lanes};
  return {.positions = static_cast<std::uint32_t>(tensor.positions()),
          .channels = static_cast<std::uint32_t>(tensor.channels()),
          .lanes = static_cast<std::uint32_t>(lanes),
          .channels_first = shape.size() == 3 && tensor.positions() > 1 && tensor.channels() > 1};
}

// Whether a value stands at the same place in both.
bool same_places(const Order& a, const Order& b) {
  return a == b || (!a.channels_first && !b.channels_first && a.lanes == 1 && b.lanes == 1);
}

__device__ __forceinline__ std::uint32_t place_of(const Order& order, std::uint32_t value,
                                                  std::uint32_t lane) {
  const std::uint32_t position = order.channels_first ? value % order.positions : value / order.channels;
  const std::uint32_t channel = order.channels_first ? value / order.positions : value % order.channels;
  return (position * order.lanes + (order.lanes == 1 ? 0 : lane)) * order.channels + channel;
}

// A piece: `Size` neighbouring channels of the output.
template <int Size, class In, class Out>
__global__ void rearrange(RowWork work, Order from, Order to, const In* __restrict__ input,
                          Out* __restrict__ output) {
  const std::int64_t input_row = static_cast<std::int64_t>(from.positions) * from.lanes * from.channels;
  const std::int64_t output_row = static_cast<std::int64_t>(to.positions) * to.lanes * to.channels;
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::uint32_t place = piece * Size;
    const std::uint32_t channel = place % to.channels;
    const std::uint32_t point = place / to.channels;
    const std::uint32_t lane = point % to.lanes;
    const std::uint32_t position = point / to.lanes;
    const std::uint32_t value =
        to.channels_first ? channel * to.positions + position : position * to.channels + channel;
    store(load<Size>(input + row * input_row + place_of(from, value, lane)),
          output + row * output_row + place);
  });
}

constexpr int kTile = 32;
constexpr int kTileRows = 8;

// Between channels first and values in a run, which is a transposition of each row and lane: through shared
// memory, so that both sides are read and written along their lines. `lines` × `columns` values come from
// lines of `input` and go to as many columns of `output`.
struct Transposition {
  std::int64_t rows = 0;
  std::uint32_t lines = 0;
  std::uint32_t columns = 0;
  std::uint32_t lanes = 1;  // of the output
  // From one of them to the next.
  std::int64_t input_row = 0, output_row = 0;
  std::int64_t input_lane = 0, output_lane = 0;
  std::int64_t input_line = 0;     // of `columns` neighbours
  std::int64_t output_column = 0;  // of `lines` neighbours
};

template <class In, class Out>
__global__ void transpose(Transposition shape, const In* __restrict__ input, Out* __restrict__ output) {
  __shared__ float tile[kTile][kTile + 1];  // the odd width keeps columns in different banks
  const std::uint32_t across = (shape.columns + kTile - 1) / kTile;
  const std::uint32_t first_line = blockIdx.x / across * kTile;
  const std::uint32_t first_column = blockIdx.x % across * kTile;
  for (std::int64_t matrix = blockIdx.y; matrix < shape.rows * shape.lanes; matrix += gridDim.y) {
    const std::int64_t row = matrix / shape.lanes;
    const std::int64_t lane = matrix % shape.lanes;
    const In* const from = input + row * shape.input_row + lane * shape.input_lane;
    Out* const to = output + row * shape.output_row + lane * shape.output_lane;
    for (std::uint32_t i = threadIdx.y; i < kTile; i += kTileRows) {
      const std::uint32_t line = first_line + i;
      const std::uint32_t column = first_column + threadIdx.x;
      if (line < shape.lines && column < shape.columns) {
        tile[i][threadIdx.x] = to_float(from[line * shape.input_line + column]);
      }
    }
    __syncthreads();
    for (std::uint32_t i = threadIdx.y; i < kTile; i += kTileRows) {
      const std::uint32_t line = first_line + threadIdx.x;
      const std::uint32_t column = first_column + i;
      if (line < shape.lines && column < shape.columns) {
        assign(tile[threadIdx.x][i], to[column * shape.output_column + line]);
      }
    }
    __syncthreads();
  }
}

// Whether the values of a row and lane are one run.
bool is_run(const Order& order) {
  return !order.channels_first && (order.positions == 1 || order.lanes == 1);
}

std::int64_t row_size(const Order& order) {
  return static_cast<std::int64_t>(order.positions) * order.lanes * order.channels;
}

// From one lane's values to the next one's; 0 where they are shared.
std::int64_t lane_step(const Order& order) { return order.lanes == 1 ? 0 : std::int64_t{order.channels}; }

Transposition transposition(std::int64_t rows, const Order& from, const Order& to) {
  const Order& image = from.channels_first ? from : to;
  const std::int64_t point = std::int64_t{image.lanes} * image.channels;
  return {.rows = rows,
          .lines = from.channels_first ? image.positions : image.channels,
          .columns = from.channels_first ? image.channels : image.positions,
          .lanes = to.lanes,
          .input_row = row_size(from),
          .output_row = row_size(to),
          .input_lane = lane_step(from),
          .output_lane = lane_step(to),
          .input_line = from.channels_first ? point : image.positions,
          .output_column = from.channels_first ? image.positions : point};
}

LaunchShape launch_shape(const Transposition& shape) {
  constexpr std::int64_t kMostBlocksInY = 65535;
  const std::int64_t tiles =
      std::int64_t{(shape.lines + kTile - 1) / kTile} * ((shape.columns + kTile - 1) / kTile);
  return {.grid = dim3(static_cast<unsigned>(tiles),
                       static_cast<unsigned>(std::min(shape.rows * shape.lanes, kMostBlocksInY))),
          .block = dim3(kTile, kTileRows)};
}

// Fewer channels than this leave most of a tile's threads idle.
constexpr std::uint32_t kFewChannels = 8;

template <class In, class Out>
void rearrange(const Step& step, std::int64_t rows, const Order& from, const Order& to, const In* input,
               Out* output) {
  const Order& image = from.channels_first ? from : to;
  if (from.channels_first != to.channels_first && is_run(from.channels_first ? to : from) &&
      image.channels >= kFewChannels) {
    const Transposition shape = transposition(rows, from, to);
    launch(transpose<In, Out>, launch_shape(shape), step.stream, shape, input, output);
    return;
  }
  constexpr int kSize = std::min(kPack<In>, kPack<Out>);
  const bool same_order =
      from.channels_first == to.channels_first && (!to.channels_first || from.positions == to.positions);
  if (same_order && from.channels % kSize == 0 && to.channels % kSize == 0) {
    const RowWork work = row_work(rows, row_size(to) / kSize);
    launch(rearrange<kSize, In, Out>, launch_shape(work), step.stream, work, from, to, input, output);
  } else {
    const RowWork work = row_work(rows, row_size(to));
    launch(rearrange<1, In, Out>, launch_shape(work), step.stream, work, from, to, input, output);
  }
}

void rearrange(const Step& step, const Tensor& from, const Tensor& to) {
  const Order input = order_of(from.shape, from.lanes);
  const Order output = order_of(to.shape, to.lanes);
  if (same_places(input, output)) {
    convert(step.stream, from.size(), from.type, step.data(from), to.type, step.data(to));
    return;
  }
  with_element(from.type, [&](auto in) {
    with_element(to.type, [&](auto out) {
      rearrange(step, from.rows, input, output, step.data<const decltype(in)>(from),
                step.data<decltype(out)>(to));
    });
  });
}

class ReshapeOperation final : public Operation {
 public:
  ReshapeOperation(Planner& planner, Tensor input, const Shape& shape, ElementType type, int lanes)
      : input_(std::move(input)),
        nothing_to_do_(input_.type == type && input_.lanes == lanes &&
                       same_places(order_of(input_.shape, input_.lanes), order_of(shape, lanes))) {
    CHECK(lanes == input_.lanes || input_.lanes == 1, "lanes do not become one");
    CHECK(lanes == input_.lanes || !input_.needs_gradient, "what lanes share needs no gradient");
    planner.use(input_);
    if (nothing_to_do_) {
      output_ = planner.view(input_, shape);
      return;
    }
    output_ = planner.allocate_values(planner.rows() * element_count(shape) * lanes, type);
    output_.shape = shape;
    output_.rows = planner.rows();
    output_.lanes = lanes;
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    input_gradient_ = nothing_to_do_ ? planner.view(output_gradient_, input_.shape)
                                     : planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    if (!nothing_to_do_) {
      rearrange(step, input_, output_);
    }
    return {};
  }

  Status backward(const Step& step) override {
    if (!nothing_to_do_) {
      rearrange(step, output_gradient_, input_gradient_);
    }
    return {};
  }

 private:
  Tensor input_;
  bool nothing_to_do_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_reshape(Planner& planner, const Tensor& input, const Shape& shape, ElementType type,
                             int lanes) {
  CHECK(element_count(input.shape) == element_count(shape));
  auto operation = std::make_unique<ReshapeOperation>(planner, input, shape, type, lanes);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda
