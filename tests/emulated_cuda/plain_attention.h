// Attention's heads as plain loops in double precision, after Vaswani et al. 2017: what the graphs that a GPU
// is given are held against. Memory as models/cuda/attention_graphs.h has it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "models/cpu/bfloat16.h"
#include "models/cuda/attention_graphs.h"

namespace regatta {

struct PlainAttention {
  std::vector<float> mixed;
  std::vector<float> statistics;  // gaps between lanes are zeros
  std::vector<float> projected_gradient;
};

// Of one row, lane and head.
template <class T>
void plain_attention_head(const AttentionShape& shape, const T* projected, const T* mixed_gradient,
                          std::int64_t row, std::int64_t lane, std::int64_t head, PlainAttention& result) {
  const std::int64_t count = shape.positions;
  const auto packed = [&](std::int64_t position, int part, std::int64_t k) {
    const std::int64_t place = (row * count + position) * shape.lanes + lane;
    return static_cast<std::size_t>(((place * 3 + part) * shape.heads + head) * shape.size + k);
  };
  const auto single = [&](std::int64_t position, std::int64_t k) {
    const std::int64_t place = (row * count + position) * shape.lanes + lane;
    return static_cast<std::size_t>((place * shape.heads + head) * shape.size + k);
  };
  const auto read = [&](std::int64_t position, int part, std::int64_t k) {
    return static_cast<double>(to_float(projected[packed(position, part, k)]));
  };
  const auto gradient = [&](std::int64_t position, std::int64_t k) {
    return static_cast<double>(to_float(mixed_gradient[single(position, k)]));
  };
  const double scale = 1 / std::sqrt(static_cast<double>(shape.size));
  std::vector<double> gradients(static_cast<std::size_t>(3 * count * shape.size));
  const auto add = [&](std::int64_t position, int part, std::int64_t k, double value) {
    gradients[static_cast<std::size_t>((part * count + position) * shape.size + k)] += value;
  };
  for (std::int64_t i = 0; i < count; ++i) {
    const auto seen = static_cast<std::size_t>(shape.causal ? i + 1 : count);
    std::vector<double> shares(seen);
    std::vector<double> share_gradients(seen);
    double largest = -INFINITY;
    for (std::size_t j = 0; j < seen; ++j) {
      for (std::int64_t k = 0; k < shape.size; ++k) {
        const auto other = static_cast<std::int64_t>(j);
        shares[j] += scale * read(i, 0, k) * read(other, 1, k);
        share_gradients[j] += gradient(i, k) * read(other, 2, k);
      }
      largest = std::max(largest, shares[j]);
    }
    double sum = 0;
    for (double& share : shares) {
      share = std::exp(share - largest);
      sum += share;
    }
    double product = 0;
    for (std::size_t j = 0; j < seen; ++j) {
      shares[j] /= sum;
      product += shares[j] * share_gradients[j];
    }
    const std::int64_t statistic = lane * shape.statistics_stride() + (row * shape.heads + head) * count + i;
    result.statistics[static_cast<std::size_t>(statistic)] = static_cast<float>(largest + std::log(sum));
    for (std::int64_t k = 0; k < shape.size; ++k) {
      double mixed = 0;
      for (std::size_t j = 0; j < seen; ++j) {
        const auto other = static_cast<std::int64_t>(j);
        const double score_gradient = scale * shares[j] * (share_gradients[j] - product);
        mixed += shares[j] * read(other, 2, k);
        add(i, 0, k, score_gradient * read(other, 1, k));
        add(other, 1, k, score_gradient * read(i, 0, k));
        add(other, 2, k, shares[j] * gradient(i, k));
      }
      result.mixed[single(i, k)] = static_cast<float>(mixed);
    }
  }
  for (int part = 0; part < 3; ++part) {
    for (std::int64_t i = 0; i < count; ++i) {
      for (std::int64_t k = 0; k < shape.size; ++k) {
        result.projected_gradient[packed(i, part, k)] =
            static_cast<float>(gradients[static_cast<std::size_t>((part * count + i) * shape.size + k)]);
      }
    }
  }
}

template <class T>
PlainAttention plain_attention(const AttentionShape& shape, const std::vector<T>& projected,
                               const std::vector<T>& mixed_gradient) {
  PlainAttention result{
      .mixed = std::vector<float>(mixed_gradient.size()),
      .statistics = std::vector<float>(static_cast<std::size_t>(shape.lanes * shape.statistics_stride())),
      .projected_gradient = std::vector<float>(projected.size())};
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    for (std::int64_t lane = 0; lane < shape.lanes; ++lane) {
      for (std::int64_t head = 0; head < shape.heads; ++head) {
        plain_attention_head(shape, projected.data(), mixed_gradient.data(), row, lane, head, result);
      }
    }
  }
  return result;
}

inline void PrintTo(const AttentionShape& shape, std::ostream* stream) { *stream << describe(shape); }
// For tests that take shapes as their parameters.
inline std::string name_of(const AttentionShape& shape) {
  return "Rows" + std::to_string(shape.rows) + "Positions" + std::to_string(shape.positions) + "Lanes" +
         std::to_string(shape.lanes) + "Heads" + std::to_string(shape.heads) + "Size" +
         std::to_string(shape.size) + (shape.causal ? "Causal" : "");
}

inline std::int64_t elements_of_mixed(const AttentionShape& shape) {
  return shape.rows * shape.positions * shape.lanes * shape.features();
}

}  // namespace regatta
