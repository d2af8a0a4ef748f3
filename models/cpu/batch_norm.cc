// Batch normalisation over the global batch. Ioffe and Szegedy 2015.
//
//   μ = Σx / n,  σ² = Σ(x - μ)² / n,  y = γ (x - μ) / √(σ² + ε) + β
//   dβ = Σdy,  dγ = Σ dy x̂,  dx = γ/√(σ² + ε) · (dy - dβ/n - x̂ dγ/n),  x̂ = (x - μ)/√(σ² + ε)
//
// with n the rows of all ranks times the pixels. The mean is known to all ranks before deviations are summed,
// so that no digits are lost where the mean is large.
#include <algorithm>
#include <cmath>

#include "models/cpu/batch_norm_kernels.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

// Of one lane; an element a channel.
struct ChannelState {
  float* weight = nullptr;  // γ
  float* bias = nullptr;    // β
  float* weight_gradient = nullptr;
  float* bias_gradient = nullptr;
  float* running_mean = nullptr;
  float* running_var = nullptr;
  // With padding, which stays zero:
  std::vector<float> mean;
  std::vector<float> inverse;  // 1 / √(σ² + ε)
  std::vector<float> factor;   // y = (x - mean) · factor + shift
  std::vector<float> shift;
  std::vector<double> sums;  // of two kinds of sum, one behind the other
};

class BatchNormOperation final : public Operation {
 public:
  BatchNormOperation(Planner& planner, const std::string& name, const BatchNorm& norm, Tensor input)
      : norm_(norm),
        phase_(planner.phase()),
        input_(std::move(input)),
        layout_(channel_layout(input_.layout)) {
    planner.use(input_);
    output_ = planner.allocate(input_.shape, input_.layout);
    output_.needs_gradient = true;
    const ParameterMemory& memory = planner.parameters();
    const auto padded = static_cast<std::size_t>(layout_.padded_channels());
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      lanes_.push_back({.weight = memory.weight(name + ".weight", lane),
                        .bias = memory.weight(name + ".bias", lane),
                        .weight_gradient = memory.gradient(name + ".weight", lane),
                        .bias_gradient = memory.gradient(name + ".bias", lane),
                        .running_mean = memory.buffer(name + ".running_mean", lane),
                        .running_var = memory.buffer(name + ".running_var", lane),
                        .mean = std::vector<float>(padded),
                        .inverse = std::vector<float>(padded),
                        .factor = std::vector<float>(padded),
                        .shift = std::vector<float>(padded),
                        .sums = std::vector<double>(2 * padded)});
    }
    exchanged_.resize(1 + 2 * lanes_.size() * static_cast<std::size_t>(layout_.channels));
    partial_.resize(2 * padded);
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient_like(output_, reorders_);
    planner.use(input_);
    input_gradient_ =
        output_gradient_.may_overwrite ? output_gradient_ : planner.allocate(input_.shape, input_.layout);
    if (input_.needs_gradient) {
      planner.set_gradient(input_, input_gradient_);
    }
  }

  Status forward(const Step& step) override {
    if (phase_ == Phase::train) {
      RETURN_IF_ERROR(take_statistics(step));
    } else {
      step.for_active_lanes([&](int lane) { take_running_statistics(state(lane)); });
    }
    step.for_active_lanes([&](int lane) {
      ChannelState& s = state(lane);
      with_element_type(input_, [&]<class Element>(Element) {
        for_blocks(step, layout_.rows, [&](const BatchNormBlock& block) {
          normalise(block, input_.elements<Element>(lane), s.mean.data(), s.factor.data(), s.shift.data(),
                    output_.elements<Element>(lane));
        });
      });
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    step.for_active_lanes([&](int lane) {
      ChannelState& s = state(lane);
      with_element_type(input_, [&]<class Element>(Element) {
        for_blocks(step, step.batch.count, [&](const BatchNormBlock& block) {
          sum_gradients(block, input_.elements<Element>(lane), output_gradient_.elements<Element>(lane),
                        s.mean.data(), s.sums.data(), s.sums.data() + layout_.padded_channels());
        });
      });
      for (std::int64_t c = 0; c < layout_.channels; ++c) {
        s.bias_gradient[c] = static_cast<float>(s.sums[index(c)]);
        s.weight_gradient[c] =
            static_cast<float>(s.sums[index(c + layout_.padded_channels())]) * s.inverse[index(c)];
      }
    });
    RETURN_IF_ERROR(exchange_sums(step, 2));
    step.for_active_lanes([&](int lane) { write_input_gradients(step, lane); });
    return {};
  }

 private:
  static std::size_t index(std::int64_t i) { return static_cast<std::size_t>(i); }
  ChannelState& state(int lane) { return lanes_[static_cast<std::size_t>(lane)]; }

  template <class Function>
  void for_blocks(const Step& step, std::int64_t rows, const Function& function) {
    parallel_for(layout_.blocks, step.threads, [&](std::int64_t block) {
      function(BatchNormBlock{&layout_, block, rows, partial_.data() + 2 * block * layout_.block});
    });
  }

  // Replaces the first `kinds` × padded channels of every lane's sums by the sums over the ranks, and
  // elements_ by the elements that each channel has on all ranks.
  Status exchange_sums(const Step& step, std::int64_t kinds) {
    elements_ = static_cast<double>(step.batch.count * layout_.pixels);
    if (step.exchange == nullptr) {
      return {};
    }
    std::fill(exchanged_.begin(), exchanged_.end(), 0.0F);
    std::size_t size = 0;
    exchanged_[size++] = static_cast<float>(step.batch.count);
    for_all_sums(step, kinds, [&](double& sum) { exchanged_[size++] = static_cast<float>(sum); });
    RETURN_IF_ERROR(step.exchange->sum(std::span(exchanged_).first(size)));
    size = 0;
    elements_ = static_cast<double>(exchanged_[size++]) * static_cast<double>(layout_.pixels);
    for_all_sums(step, kinds, [&](double& sum) { sum = static_cast<double>(exchanged_[size++]); });
    return {};
  }

  template <class Function>
  void for_all_sums(const Step& step, std::int64_t kinds, const Function& function) {
    step.for_active_lanes([&](int lane) {
      for (std::int64_t kind = 0; kind < kinds; ++kind) {
        for (std::int64_t c = 0; c < layout_.channels; ++c) {
          function(state(lane).sums[index(kind * layout_.padded_channels() + c)]);
        }
      }
    });
  }

  Status take_statistics(const Step& step) {
    step.for_active_lanes([&](int lane) {
      with_element_type(input_, [&]<class Element>(Element) {
        for_blocks(step, step.batch.count, [&](const BatchNormBlock& block) {
          sum_channels(block, input_.elements<Element>(lane), state(lane).sums.data());
        });
      });
    });
    RETURN_IF_ERROR(exchange_sums(step, 1));
    step.for_active_lanes([&](int lane) {
      ChannelState& s = state(lane);
      for (std::int64_t c = 0; c < layout_.channels; ++c) {
        s.mean[index(c)] = static_cast<float>(s.sums[index(c)] / elements_);
      }
      with_element_type(input_, [&]<class Element>(Element) {
        for_blocks(step, step.batch.count, [&](const BatchNormBlock& block) {
          sum_squared_deviations(block, input_.elements<Element>(lane), s.mean.data(), s.sums.data());
        });
      });
    });
    RETURN_IF_ERROR(exchange_sums(step, 1));
    step.for_active_lanes([&](int lane) { set_statistics(state(lane)); });
    return {};
  }

  // From mean and the sums of squared deviations. The running variance is the unbiased estimate, as in
  // PyTorch.
  void set_statistics(ChannelState& s) const {
    const auto momentum = static_cast<float>(norm_.momentum);
    for (std::int64_t c = 0; c < layout_.channels; ++c) {
      const double squares = s.sums[index(c)];
      set_affine(s, c, squares / elements_);
      const auto unbiased = static_cast<float>(squares / std::max(elements_ - 1, 1.0));
      s.running_mean[c] += momentum * (s.mean[index(c)] - s.running_mean[c]);
      s.running_var[c] += momentum * (unbiased - s.running_var[c]);
    }
  }

  void take_running_statistics(ChannelState& s) const {
    for (std::int64_t c = 0; c < layout_.channels; ++c) {
      s.mean[index(c)] = s.running_mean[c];
      set_affine(s, c, static_cast<double>(s.running_var[c]));
    }
  }

  void set_affine(ChannelState& s, std::int64_t c, double variance) const {
    s.inverse[index(c)] = static_cast<float>(1 / std::sqrt(variance + norm_.epsilon));
    s.factor[index(c)] = s.weight[c] * s.inverse[index(c)];
    s.shift[index(c)] = s.bias[c];
  }

  void write_input_gradients(const Step& step, int lane) {
    ChannelState& s = state(lane);
    // Forward's last two arrays are free now.
    std::vector<float>& offset = s.shift;
    std::vector<float>& slope = s.inverse;
    for (std::int64_t c = 0; c < layout_.channels; ++c) {
      const double products = s.sums[index(c + layout_.padded_channels())];
      const auto inverse = static_cast<double>(s.inverse[index(c)]);
      offset[index(c)] = static_cast<float>(s.sums[index(c)] / elements_);
      slope[index(c)] = static_cast<float>(products * inverse * inverse / elements_);
    }
    with_element_type(input_, [&]<class Element>(Element) {
      Element* const results = input_gradient_.elements<Element>(lane);
      for_blocks(step, step.batch.count, [&](const BatchNormBlock& block) {
        normalise_gradients(block, input_.elements<Element>(lane), output_gradient_.elements<Element>(lane),
                            s.mean.data(), s.factor.data(), offset.data(), slope.data(), results);
      });
      // Rows that are not in use have no gradient.
      std::fill(results + step.batch.count * layout_.row_floats(),
                results + layout_.rows * layout_.row_floats(), Element());
    });
  }

  BatchNorm norm_;
  Phase phase_;
  Tensor input_;
  ChannelLayout layout_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  CallSequence reorders_;
  std::vector<ChannelState> lanes_;
  std::vector<float> exchanged_;  // rows, then the lanes' sums
  std::vector<float> partial_;
  double elements_ = 0;  // of each channel, on all ranks
};

}  // namespace

Planned plan_batch_norm(Planner& planner, const std::string& name, const BatchNorm& norm,
                        const Tensor& input) {
  auto operation = std::make_unique<BatchNormOperation>(planner, name, norm, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
