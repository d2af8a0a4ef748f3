// Each layer as its equation.
#include "reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "models/dropout.h"

namespace regatta {
namespace {

struct Values {
  Shape shape;                 // of one row
  std::vector<double> values;  // [rows, shape…]
};

class Evaluation {
 public:
  Evaluation(const ReferenceValues& values, const BatchView& batch, const ReferenceOptions& options)
      : values_(values), batch_(batch), options_(options), rows_(static_cast<std::size_t>(batch.count)) {}

  Values run(const std::vector<Layer>& layers, Values x) {
    for (const Layer& layer : layers) {
      x = std::visit([&](const auto& what) { return apply(layer.name, what, x); }, layer.what);
    }
    return x;
  }

 private:
  const std::vector<double>& value(const std::string& name) const { return values_.at(name); }

  Values apply(const std::string& name, const Dense& dense, const Values& x) {
    const bool sequence = is_sequence(x.shape);
    const auto inputs = static_cast<std::size_t>(sequence ? x.shape.back() : element_count(x.shape));
    const auto units = static_cast<std::size_t>(dense.units);
    const std::size_t rows = x.values.size() / inputs;  // positions of sequences count one by one
    Values y{sequence ? Shape{x.shape.front(), dense.units} : Shape{dense.units},
             std::vector<double>(rows * units)};
    for (std::size_t n = 0; n < rows; ++n) {
      for (std::size_t u = 0; u < units; ++u) {
        double sum = dense.bias ? value(name + ".bias")[u] : 0;
        for (std::size_t i = 0; i < inputs; ++i) {
          sum += value(name + ".weight")[u * inputs + i] * x.values[n * inputs + i];
        }
        y.values[n * units + u] = sum;
      }
    }
    return y;
  }

  // x at (row, channel, i, j), zero outside.
  static double at(const Values& x, std::int64_t n, std::int64_t c, std::int64_t i, std::int64_t j) {
    if (i < 0 || j < 0 || i >= x.shape[1] || j >= x.shape[2]) {
      return 0;
    }
    return x.values[static_cast<std::size_t>(((n * x.shape[0] + c) * x.shape[1] + i) * x.shape[2] + j)];
  }

  // Calls f(row, channel, i, j) for every element of an image, in row-major order, and collects the results.
  template <class Function>
  Values image(const Shape& shape, const Function& f) const {
    Values y{shape, {}};
    for (std::int64_t n = 0; n < batch_.count; ++n) {
      for (std::int64_t c = 0; c < shape[0]; ++c) {
        for (std::int64_t i = 0; i < shape[1]; ++i) {
          for (std::int64_t j = 0; j < shape[2]; ++j) {
            y.values.push_back(f(n, c, i, j));
          }
        }
      }
    }
    return y;
  }

  Values apply(const std::string& name, const Conv& conv, const Values& x) {
    const std::int64_t k = conv.kernel;
    const auto size = [&](std::int64_t in) { return (in + 2 * conv.padding - k) / conv.stride + 1; };
    const auto& weight = value(name + ".weight");
    const std::int64_t channels = x.shape[0] / conv.groups;  // of a group
    return image({conv.filters, size(x.shape[1]), size(x.shape[2])}, [&](auto n, auto f, auto i, auto j) {
      double sum = conv.bias ? value(name + ".bias")[static_cast<std::size_t>(f)] : 0;
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t a = 0; a < k; ++a) {
          for (std::int64_t b = 0; b < k; ++b) {
            sum += weight[static_cast<std::size_t>(((f * channels + c) * k + a) * k + b)] *
                   at(x, n, f / (conv.filters / conv.groups) * channels + c,
                      i * conv.stride + a - conv.padding, j * conv.stride + b - conv.padding);
          }
        }
      }
      return sum;
    });
  }

  Values apply(const std::string& name, const Depthwise& depthwise, const Values& x) {
    return apply(name, as_conv(depthwise, x.shape[0]), x);
  }

  Values apply(const std::string&, const GlobalPool& pool, const Values& x) {
    const std::int64_t pixels = x.shape[1] * x.shape[2];
    Values y{{x.shape[0]}, {}};
    for (std::size_t begin = 0; begin < x.values.size(); begin += static_cast<std::size_t>(pixels)) {
      const auto first = x.values.begin() + static_cast<long>(begin);
      y.values.push_back(pool.kind == Pool::Kind::max
                             ? *std::max_element(first, first + pixels)
                             : std::accumulate(first, first + pixels, 0.0) / static_cast<double>(pixels));
    }
    return y;
  }

  Values apply(const std::string&, const Pool& pool, const Values& x) {
    const auto size = [&](std::int64_t in) { return (in - pool.size) / pool.stride + 1; };
    return image({x.shape[0], size(x.shape[1]), size(x.shape[2])}, [&](auto n, auto c, auto i, auto j) {
      double largest = -INFINITY;
      double sum = 0;
      for (std::int64_t a = 0; a < pool.size; ++a) {
        for (std::int64_t b = 0; b < pool.size; ++b) {
          const double element = at(x, n, c, i * pool.stride + a, j * pool.stride + b);
          largest = std::max(largest, element);
          sum += element;
        }
      }
      return pool.kind == Pool::Kind::max ? largest : sum / static_cast<double>(pool.size * pool.size);
    });
  }

  Values apply(const std::string&, const Activation& activation, Values x) {
    for (double& element : x.values) {
      element = activated(activation.kind, element);
    }
    return x;
  }

  static double activated(Activation::Kind kind, double x) {
    switch (kind) {
      case Activation::Kind::relu:
        return std::max(x, 0.0);
      case Activation::Kind::gelu:
        return x * std::erfc(-x / std::numbers::sqrt2) / 2;
      case Activation::Kind::tanh:
        return std::tanh(x);
      case Activation::Kind::sigmoid:
        return 1 / (1 + std::exp(-x));
    }
    check_failed("a known activation", __FILE__, __LINE__);
  }

  Values apply(const std::string&, const Reshape& reshape, Values x) {
    x.shape = reshape.shape;
    return x;
  }

  Values apply(const std::string&, const TimePool& pool, const Values& x) {
    const auto positions = static_cast<std::size_t>(x.shape.front());
    const auto features = static_cast<std::size_t>(x.shape.back());
    Values y{{x.shape.back()}, std::vector<double>(rows_ * features)};
    for (std::size_t n = 0; n < rows_; ++n) {
      for (std::size_t t = 0; t < positions; ++t) {
        for (std::size_t f = 0; f < features; ++f) {
          const double element = x.values[(n * positions + t) * features + f];
          double& result = y.values[n * features + f];
          result =
              pool.kind == TimePool::Kind::last ? element : result + element / static_cast<double>(positions);
        }
      }
    }
    return y;
  }

  Values apply(const std::string&, const Flatten&, Values x) {
    x.shape = {element_count(x.shape)};
    return x;
  }

  Values apply(const std::string&, const Dropout& dropout, Values x) {
    const int number = dropouts_++;
    if (!options_.training) {
      return x;
    }
    const auto elements = static_cast<std::size_t>(element_count(x.shape));
    std::vector<std::uint8_t> mask(elements);
    for (std::size_t n = 0; n < rows_; ++n) {
      fill_dropout_mask(dropout_key(options_.seed, number, options_.step), dropout.rate,
                        batch_.first_sample + static_cast<std::int64_t>(n), mask);
      for (std::size_t e = 0; e < elements; ++e) {
        x.values[n * elements + e] *= mask[e] / (1 - dropout.rate);
      }
    }
    return x;
  }

  Values apply(const std::string& name, const BatchNorm& norm, Values x) {
    const bool sequence = is_sequence(x.shape);
    const auto channels = static_cast<std::size_t>(sequence ? x.shape.back() : x.shape.front());
    const std::size_t pixels = static_cast<std::size_t>(element_count(x.shape)) / channels;
    const auto count = static_cast<double>(rows_ * pixels);
    for (std::size_t c = 0; c < channels; ++c) {
      const auto for_channel = [&](const auto& f) {
        for (std::size_t n = 0; n < rows_; ++n) {
          for (std::size_t p = 0; p < pixels; ++p) {
            f(x.values[sequence ? (n * pixels + p) * channels + c : (n * channels + c) * pixels + p]);
          }
        }
      };
      double mean = 0;
      double variance = 0;
      if (options_.training) {
        for_channel([&](double element) { mean += element / count; });
        for_channel([&](double element) { variance += (element - mean) * (element - mean) / count; });
      } else {
        mean = value(name + ".running_mean")[c];
        variance = value(name + ".running_var")[c];
      }
      const double factor = value(name + ".weight")[c] / std::sqrt(variance + norm.epsilon);
      for_channel([&](double& element) { element = (element - mean) * factor + value(name + ".bias")[c]; });
    }
    return x;
  }

  Values apply(const std::string&, const Residual& residual, const Values& x) {
    Values body = run(residual.body, x);
    const Values shortcut = run(residual.shortcut, x);
    for (std::size_t i = 0; i < body.values.size(); ++i) {
      body.values[i] += shortcut.values[i];
    }
    return body;
  }

  const ReferenceValues& values_;
  const BatchView& batch_;
  const ReferenceOptions& options_;
  std::size_t rows_;
  int dropouts_ = 0;
};

// -Σⱼ tⱼ log softmax(y)ⱼ
double cross_entropy(const double* logits, const std::vector<double>& target) {
  const std::size_t classes = target.size();
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (std::size_t j = 0; j < classes; ++j) {
    sum += std::exp(logits[j] - largest);
  }
  double loss = 0;
  for (std::size_t j = 0; j < classes; ++j) {
    loss -= target[j] * (logits[j] - largest - std::log(sum));
  }
  return loss;
}

// What row n's softmax should be.
std::vector<double> target_of(const BatchView& batch, std::size_t n, std::size_t classes, double smoothing) {
  std::vector<double> target(classes, smoothing / static_cast<double>(classes));
  const double share = batch.label_shares.empty() ? 1 : static_cast<double>(batch.label_shares[n]);
  target[static_cast<std::size_t>(batch.labels[n])] += (1 - smoothing) * share;
  if (!batch.other_labels.empty()) {
    target[static_cast<std::size_t>(batch.other_labels[n])] += (1 - smoothing) * (1 - share);
  }
  return target;
}

}  // namespace

ReferenceValues reference_values(const LaneState& state) {
  ReferenceValues values;
  for (const NamedTensor& tensor : state.tensors) {
    values[tensor.name].assign(tensor.values.begin(), tensor.values.end());
  }
  return values;
}

double reference_loss(const ModelConfig& config, const ReferenceValues& values, const BatchView& batch,
                      const ReferenceOptions& options) {
  const auto used = static_cast<std::size_t>(batch.count * element_count(config.network.input));
  const Values x{config.network.input,
                 {batch.inputs.begin(), batch.inputs.begin() + static_cast<long>(used)}};
  const Values y = Evaluation(values, batch, options).run(config.network.layers, x);
  const auto outputs = static_cast<std::size_t>(element_count(config.network.output));
  double sum = 0;
  for (std::size_t n = 0; n < static_cast<std::size_t>(batch.count); ++n) {
    if (config.train.loss == Loss::cross_entropy) {
      const double smoothing = options.training ? config.train.label_smoothing : 0;
      sum += cross_entropy(&y.values[n * outputs], target_of(batch, n, outputs, smoothing));
      continue;
    }
    for (std::size_t j = 0; j < outputs; ++j) {
      const double error = y.values[n * outputs + j] - static_cast<double>(batch.targets[n * outputs + j]);
      sum += error * error / static_cast<double>(outputs);
    }
  }
  return sum;
}

}  // namespace regatta
