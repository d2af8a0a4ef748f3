// Each layer as its equation.
#include "reference.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>

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
    const auto& weight = value(name + ".weight");
    for (std::size_t n = 0; n < rows; ++n) {
      for (std::size_t u = 0; u < units; ++u) {
        double sum = dense.bias ? value(name + ".bias")[u] : 0;
        for (std::size_t i = 0; i < inputs; ++i) {
          sum += weight[u * inputs + i] * x.values[n * inputs + i];
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

  // Calls f(the values of a position) for every position, or row of features.
  template <class Function>
  static void for_positions(Values& x, const Function& f) {
    const auto features = static_cast<std::size_t>(x.shape.back());
    for (std::size_t begin = 0; begin < x.values.size(); begin += features) {
      f(std::span(x.values).subspan(begin, features));
    }
  }

  Values apply(const std::string& name, const LayerNorm& norm, Values x) {
    const auto& weight = value(name + ".weight");
    const auto& bias = value(name + ".bias");
    for_positions(x, [&](std::span<double> row) {
      const auto size = static_cast<double>(row.size());
      const double mean = std::accumulate(row.begin(), row.end(), 0.0) / size;
      double variance = 0;
      for (const double element : row) {
        variance += (element - mean) * (element - mean) / size;
      }
      for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] = (row[i] - mean) / std::sqrt(variance + norm.epsilon) * weight[i] + bias[i];
      }
    });
    return x;
  }

  Values apply(const std::string& name, const Embedding& embedding, const Values& x) {
    Values y{{x.shape.front(), embedding.units}, {}};
    for (const double token : x.values) {
      const auto first = value(name + ".weight").begin() + static_cast<long>(token) * embedding.units;
      y.values.insert(y.values.end(), first, first + embedding.units);
    }
    return y;
  }

  Values apply(const std::string& name, const PositionEmbedding&, Values x) {
    const auto& table = value(name + ".weight");
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      x.values[i] += table[i % table.size()];
    }
    return x;
  }

  // W x + b, the rows of W from `first` on.
  static double linear(const std::vector<double>& weight, const std::vector<double>& bias, std::size_t row,
                       std::span<const double> x) {
    double sum = bias[row];
    for (std::size_t i = 0; i < x.size(); ++i) {
      sum += weight[row * x.size() + i] * x[i];
    }
    return sum;
  }

  // Scores of one position against all, for one head, and the mean of values that they give.
  Values apply(const std::string& name, const Attention& attention, const Values& x) {
    const auto positions = static_cast<std::size_t>(x.shape.front());
    const auto features = static_cast<std::size_t>(x.shape.back());
    const std::size_t size = features / static_cast<std::size_t>(attention.heads);
    std::vector<double> all;  // queries, keys and values of every position
    for (std::size_t begin = 0; begin < x.values.size(); begin += features) {
      for (std::size_t row = 0; row < 3 * features; ++row) {
        all.push_back(linear(value(name + ".in_proj_weight"), value(name + ".in_proj_bias"), row,
                             std::span(x.values).subspan(begin, features)));
      }
    }
    const auto projected = [&](std::size_t n, std::size_t t, std::size_t row) {
      return all[(n * positions + t) * 3 * features + row];
    };
    Values y{x.shape, std::vector<double>(x.values.size())};
    for (std::size_t n = 0; n < rows_; ++n) {
      for (std::size_t t = 0; t < positions; ++t) {
        std::vector<double> mixed(features);
        for (std::size_t head = 0; head < features; head += size) {
          const std::size_t seen = attention.causal ? t + 1 : positions;
          std::vector<double> shares(seen);
          for (std::size_t s = 0; s < seen; ++s) {
            double product = 0;
            for (std::size_t i = head; i < head + size; ++i) {
              product += projected(n, t, i) * projected(n, s, features + i);
            }
            shares[s] = std::exp(product / std::sqrt(static_cast<double>(size)));
          }
          const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
          for (std::size_t s = 0; s < seen; ++s) {
            for (std::size_t i = head; i < head + size; ++i) {
              mixed[i] += shares[s] / sum * projected(n, s, 2 * features + i);
            }
          }
        }
        for (std::size_t i = 0; i < features; ++i) {
          y.values[(n * positions + t) * features + i] =
              linear(value(name + ".out_proj.weight"), value(name + ".out_proj.bias"), i, mixed);
        }
      }
    }
    return y;
  }

  Values apply(const std::string& name, const Recurrent& recurrent, const Values& x) {
    const auto positions = static_cast<std::size_t>(x.shape.front());
    const auto features = static_cast<std::size_t>(x.shape.back());
    const auto units = static_cast<std::size_t>(recurrent.units);
    Values y{{x.shape.front(), recurrent.units}, {}};
    const auto& input_weight = value(name + ".weight_ih_l0");
    const auto& input_bias = value(name + ".bias_ih_l0");
    const auto& state_weight = value(name + ".weight_hh_l0");
    const auto& state_bias = value(name + ".bias_hh_l0");
    for (std::size_t n = 0; n < rows_; ++n) {
      std::vector<double> state(units);
      std::vector<double> cell(units);
      for (std::size_t t = 0; t < positions; ++t) {
        const auto input = std::span(x.values).subspan((n * positions + t) * features, features);
        const std::vector<double> before = state;
        const auto from_input = [&](std::size_t gate, std::size_t u) {
          return linear(input_weight, input_bias, gate * units + u, input);
        };
        const auto from_state = [&](std::size_t gate, std::size_t u) {
          return linear(state_weight, state_bias, gate * units + u, before);
        };
        const auto sigmoid = [](double element) { return 1 / (1 + std::exp(-element)); };
        for (std::size_t u = 0; u < units; ++u) {
          const auto sum = [&](std::size_t gate) { return from_input(gate, u) + from_state(gate, u); };
          if (recurrent.kind == Recurrent::Kind::lstm) {
            cell[u] = sigmoid(sum(1)) * cell[u] + sigmoid(sum(0)) * std::tanh(sum(2));
            state[u] = sigmoid(sum(3)) * std::tanh(cell[u]);
          } else {
            const double update = sigmoid(sum(1));
            const double candidate = std::tanh(from_input(2, u) + sigmoid(sum(0)) * from_state(2, u));
            state[u] = (1 - update) * candidate + update * before[u];
          }
        }
        y.values.insert(y.values.end(), state.begin(), state.end());
      }
    }
    return y;
  }

  Values apply(const std::string& name, const Conv1d& conv, const Values& x) {
    const std::int64_t features = x.shape.back();
    const std::int64_t count =
        (x.shape.front() + conv.zeros_before + conv.zeros_after - conv.kernel) / conv.stride + 1;
    Values y{{count, conv.filters}, {}};
    const auto& weight = value(name + ".weight");
    for (std::int64_t n = 0; n < batch_.count; ++n) {
      for (std::int64_t t = 0; t < count; ++t) {
        for (std::int64_t filter = 0; filter < conv.filters; ++filter) {
          double sum = conv.bias ? value(name + ".bias")[static_cast<std::size_t>(filter)] : 0;
          for (std::int64_t k = 0; k < conv.kernel; ++k) {
            const std::int64_t from = t * conv.stride + k - conv.zeros_before;
            for (std::int64_t f = 0; f < features && from >= 0 && from < x.shape.front(); ++f) {
              sum += weight[static_cast<std::size_t>((filter * features + f) * conv.kernel + k)] *
                     x.values[static_cast<std::size_t>((n * x.shape.front() + from) * features + f)];
            }
          }
          y.values.push_back(sum);
        }
      }
    }
    return y;
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
  const auto outputs = static_cast<std::size_t>(config.network.output.back());
  double sum = 0;
  for (std::size_t n = 0; n < y.values.size() / outputs; ++n) {  // positions of sequences count one by one
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
