// LSTM and GRU through time. The inputs of all positions go through one product; then each position needs one
// of the state before it and one pass over the gates. Backward leaves the gates' gradients in their place, so
// that the weights' gradients are products over all positions at the end.
//
// Inside, positions come first, [T, N, …]: then a position is one matrix, and the states before all positions
// but the first are all states but the last.
#include <algorithm>

#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"
#include "models/cpu/products.h"
#include "models/cpu/recurrent_kernels.h"

namespace regatta {
namespace {

constexpr std::int64_t kRowsOfAThread = 16;

class RecurrentOperation final : public Operation {
 public:
  RecurrentOperation(Planner& planner, const std::string& name, const Recurrent& recurrent, Tensor input)
      : lstm_(recurrent.kind == Recurrent::Kind::lstm),
        rows_(planner.rows()),
        units_(recurrent.units),
        gates_width_((lstm_ ? 4 : 3) * units_),
        input_(std::move(input)),
        positions_(input_.shape.front()),
        features_(input_.shape.back()),
        inputs_{name + ".weight_ih_l0", name + ".bias_ih_l0", features_, gates_width_},
        state_weight_(name + ".weight_hh_l0"),
        state_bias_(name + ".bias_hh_l0"),
        turned_(planner.allocate({}, by_position(features_))),
        gates_(planner.allocate({}, by_position(gates_width_))),
        // c of an LSTM; of a GRU what its candidate gets from the state
        cells_(planner.allocate({}, by_position(units_))),
        states_(planner.allocate({}, by_position(units_))),
        output_(planner.allocate({positions_, units_}, plain_layout(rows_, {positions_, units_}))),
        state_(unbound(planner, matrix(rows_, units_))),
        gate_(unbound(planner, matrix(rows_, gates_width_))) {
    CHECK(input_.layout == plain_layout(rows_, input_.shape));
    planner.use(input_);
    output_.needs_gradient = true;
    add_projection(planner, project_, inputs_, turned_, gates_);
    products_ = lstm_ ? gate_ : planner.temporary(matrix(rows_, gates_width_));
    add_state_products(planner, recur_,
                       {.left = state_, .result = products_, .after = lstm_ ? adding() : dnnl::post_ops()},
                       transposed(units_, gates_width_), 0);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      state_biases_.push_back(planner.parameters().weight(state_bias_, lane));
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    for (const Tensor* kept : {&turned_, &gates_, &cells_, &states_}) {
      planner.use(*kept);
    }
    output_gradient_ = planner.gradient_like(output_, reorders_);
    state_gradient_ = planner.temporary(matrix(rows_, units_));
    cell_gradient_ = planner.temporary(matrix(rows_, units_));
    plan_step_back(planner);
    if (input_.needs_gradient) {
      turned_gradient_ = planner.allocate({}, by_position(features_));
      input_gradient_ = planner.allocate(input_.shape, input_.layout);
      planner.set_gradient(input_, input_gradient_);
    }
    add_projection_gradients(planner, finish_, inputs_, turned_, gates_, turned_gradient_);
    if (positions_ > 1) {
      plan_state_weight_gradient(planner);
    }
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const ParameterMemory& memory = planner.parameters();
      gradients_.push_back({.input_bias = memory.gradient(inputs_.bias, lane),
                            .state_bias = memory.gradient(state_bias_, lane),
                            .state_weight = memory.gradient(state_weight_, lane)});
    }
  }

  Status forward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      swap_axes(input_.data(lane), rows_, positions_, features_, turned_.data(lane));
      project_.run_lane(step, lane);
      for (std::int64_t t = 0; t < positions_; ++t) {
        if (t > 0) {
          set_position(lane, t, t - 1);
          recur_.run_lane(step, lane);
        }
        for_rows(step, [&](std::int64_t row, std::int64_t rows) { forward_cell(lane, t, row, rows); });
      }
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    step.for_active_lanes([&](int lane) {
      std::fill_n(floats(state_gradient_), rows_ * units_, 0.0F);
      std::fill_n(floats(cell_gradient_), rows_ * units_, 0.0F);
      for (std::int64_t t = positions_; t-- > 0;) {
        for_rows(step, [&](std::int64_t row, std::int64_t rows) { backward_cell(lane, t, row, rows); });
        if (t > 0) {
          set_position(lane, t, t);
          step_back_.run_lane(step, lane);
        }
      }
      finish_.run_lane(step, lane);
      finish_biases(lane);
      if (input_.needs_gradient) {
        swap_axes(turned_gradient_.data(lane), positions_, rows_, features_, input_gradient_.data(lane));
      }
    });
    return {};
  }

 private:
  struct Gradients {
    float* input_bias = nullptr;
    float* state_bias = nullptr;
    float* state_weight = nullptr;
  };

  static float* floats(const dnnl::memory& memory) { return static_cast<float*>(memory.get_data_handle()); }
  static dnnl::memory unbound(const Planner& planner, const Layout& layout) {
    return {layout, planner.engine(), nullptr};
  }
  Layout by_position(std::int64_t width) const { return matrix(positions_ * rows_, width); }

  // Points the operands of a position's products at their memory: the gates of `t`, and the state, or the
  // GRU's candidates, of `other`.
  void set_position(int lane, std::int64_t t, std::int64_t other) {
    gate_.set_data_handle(gates_.data(lane) + t * rows_ * gates_width_);
    state_.set_data_handle(states_.data(lane) + other * rows_ * units_);
    if (first_gates_) {
      first_gates_.set_data_handle(gates_.data(lane) + t * rows_ * gates_width_);
      candidate_.set_data_handle(cells_.data(lane) + other * rows_ * units_);
    }
  }

  template <class Function>
  void for_rows(const Step& step, const Function& function) const {
    parallel_for((rows_ + kRowsOfAThread - 1) / kRowsOfAThread, step.threads, [&](std::int64_t block) {
      const std::int64_t row = block * kRowsOfAThread;
      function(row, std::min(kRowsOfAThread, rows_ - row));
    });
  }

  LstmCell lstm_cell(int lane, std::int64_t t, std::int64_t row, std::int64_t rows) const {
    const std::int64_t at = (t * rows_ + row) * units_;
    return {.rows = rows,
            .units = units_,
            .sequence = positions_ * units_,
            .bias = state_biases_[static_cast<std::size_t>(lane)],
            .gates = gates_.data(lane) + (t * rows_ + row) * gates_width_,
            .cells = cells_.data(lane) + at,
            .previous_cells = t > 0 ? cells_.data(lane) + at - rows_ * units_ : nullptr,
            .states = states_.data(lane) + at,
            .outputs = output_.data(lane) + (row * positions_ + t) * units_};
  }

  GruCell gru_cell(int lane, std::int64_t t, std::int64_t row, std::int64_t rows) const {
    const std::int64_t at = (t * rows_ + row) * units_;
    return {.rows = rows,
            .units = units_,
            .sequence = positions_ * units_,
            .bias = state_biases_[static_cast<std::size_t>(lane)],
            .products = t > 0 ? floats(products_) + row * gates_width_ : nullptr,
            .gates = gates_.data(lane) + (t * rows_ + row) * gates_width_,
            .candidates = cells_.data(lane) + at,
            .previous_states = t > 0 ? states_.data(lane) + at - rows_ * units_ : nullptr,
            .states = states_.data(lane) + at,
            .outputs = output_.data(lane) + (row * positions_ + t) * units_};
  }

  void forward_cell(int lane, std::int64_t t, std::int64_t row, std::int64_t rows) const {
    if (lstm_) {
      lstm_forward(lstm_cell(lane, t, row, rows));
    } else {
      gru_forward(gru_cell(lane, t, row, rows));
    }
  }

  void backward_cell(int lane, std::int64_t t, std::int64_t row, std::int64_t rows) const {
    const float* const gradients = output_gradient_.data(lane) + (row * positions_ + t) * units_;
    if (lstm_) {
      LstmCell cell = lstm_cell(lane, t, row, rows);
      cell.output_gradients = gradients;
      cell.state_gradients = floats(state_gradient_) + row * units_;
      cell.cell_gradients = floats(cell_gradient_) + row * units_;
      lstm_backward(cell);
    } else {
      GruCell cell = gru_cell(lane, t, row, rows);
      cell.output_gradients = gradients;
      cell.state_gradients = floats(state_gradient_) + row * units_;
      gru_backward(cell);
    }
  }

  // dh' = (gradients of what was h' Wᵀ) W. Of a GRU these stand in two places: r and z as the gates have
  // them, n apart, because only the part from the state passes r; and the pass over the gates has begun dh'.
  void plan_step_back(Planner& planner) {
    if (lstm_) {
      add_state_products(planner, step_back_, {.left = gate_, .result = state_gradient_},
                         matrix(gates_width_, units_), 0);
      return;
    }
    first_gates_ = unbound(planner, strided(rows_, 2 * units_));
    candidate_ = unbound(planner, matrix(rows_, units_));
    add_state_products(planner, step_back_,
                       {.left = first_gates_, .result = state_gradient_, .after = adding()},
                       matrix(2 * units_, units_), 0);
    add_state_products(planner, step_back_,
                       {.left = candidate_, .result = state_gradient_, .after = adding()},
                       matrix(units_, units_), 2 * units_ * units_);
  }

  // For each lane, `product` with its weights of the state: as `layout`, from float `offset` on.
  void add_state_products(Planner& planner, CallSequence& calls, Product product, const Matrix& layout,
                          std::int64_t offset) const {
    Products products(planner, calls);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      product.right = planner.weight_part(state_weight_, layout, offset, lane);
      products.add(lane, product);
    }
  }

  // Rows of the gates of which only the first `columns` count.
  Matrix strided(std::int64_t rows, std::int64_t columns) const {
    return {{rows, columns}, dnnl::memory::data_type::f32, dnnl::memory::dims{gates_width_, 1}};
  }
  Matrix strided_turned(std::int64_t rows, std::int64_t columns) const {
    return {{columns, rows}, dnnl::memory::data_type::f32, dnnl::memory::dims{1, gates_width_}};
  }

  // Σ over the positions but the first of gradientsᵀ h'.
  void plan_state_weight_gradient(Planner& planner) {
    const std::int64_t count = (positions_ - 1) * rows_;
    const std::int64_t width = lstm_ ? gates_width_ : 2 * units_;
    const Tensor gates = planner.part(gates_, strided_turned(count, width), rows_ * gates_width_);
    const Tensor states = planner.part(states_, matrix(count, units_), 0);
    const Tensor candidates = planner.part(cells_, transposed(units_, count), rows_ * units_);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(planner, finish_, lane,
                  {.left = gates.lanes[index],
                   .right = states.lanes[index],
                   .result = planner.gradient_of_weight(state_weight_, matrix(width, units_), lane)});
      if (!lstm_) {
        add_product(planner, finish_, lane,
                    {.left = candidates.lanes[index],
                     .right = states.lanes[index],
                     .result = planner.gradient_part(state_weight_, matrix(units_, units_),
                                                     2 * units_ * units_, lane)});
      }
    }
  }

  void finish_biases(int lane) const {
    const Gradients& of = gradients_[static_cast<std::size_t>(lane)];
    column_sums(gates_.data(lane), positions_ * rows_, gates_width_, of.input_bias);
    std::copy_n(of.input_bias, gates_width_, of.state_bias);
    if (!lstm_) {
      column_sums(cells_.data(lane), positions_ * rows_, units_, of.state_bias + 2 * units_);
    }
    if (positions_ == 1) {
      std::fill_n(of.state_weight, gates_width_ * units_, 0.0F);
    }
  }

  bool lstm_;
  std::int64_t rows_;
  std::int64_t units_;
  std::int64_t gates_width_;
  Tensor input_;
  std::int64_t positions_;
  std::int64_t features_;
  Projection inputs_;
  std::string state_weight_;
  std::string state_bias_;
  Tensor turned_;  // the input, positions first
  Tensor gates_;
  Tensor cells_;
  Tensor states_;
  Tensor output_;
  // Operands that move from position to position.
  dnnl::memory state_;
  dnnl::memory gate_;
  dnnl::memory first_gates_;  // GRU: r and z
  dnnl::memory candidate_;    // GRU
  dnnl::memory products_;     // h' Wᵀ: LSTM: added to the gates
  Tensor output_gradient_;
  Tensor turned_gradient_;
  Tensor input_gradient_;
  dnnl::memory state_gradient_;
  dnnl::memory cell_gradient_;
  std::vector<const float*> state_biases_;
  std::vector<Gradients> gradients_;
  CallSequence project_;
  CallSequence recur_;
  CallSequence reorders_;
  CallSequence step_back_;
  CallSequence finish_;
};

}  // namespace

Planned plan_operation(Planner& planner, const std::string& name, const Recurrent& recurrent,
                       const Tensor& input) {
  auto operation = std::make_unique<RecurrentOperation>(planner, name, recurrent, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
