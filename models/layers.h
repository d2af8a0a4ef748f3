// The layers a network is made of, as descriptions: what they are, not how a device computes them. A backend
// visits the variant, so a layer that a backend lacks does not compile.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "experiment/node.h"
#include "models/shape.h"

namespace regatta {

struct Layer;

// y = x Wᵀ + b.  x: {in}; y: {units}; W: [units, in]; b: [units]. Of a sequence, at each position: x: {T,
// in}; y: {T, units}.
struct Dense {
  std::int64_t units = 0;
  bool bias = true;
};
// Cross-correlation.  x: {C, H, W}; y: {filters, H', W'}; W: [filters, C / groups, kernel, kernel]; b:
// [filters]. The filters of a group see the channels of that group only.
struct Conv {
  std::int64_t filters = 0;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::int64_t padding =
      0;  // zeros on each side; in YAML also `same` (the default, stride 1 keeps the size) and `valid`
  bool bias = true;
  std::int64_t groups = 1;
};
// A convolution with a group for each channel, and `multiplier` filters a group.
struct Depthwise {
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::int64_t padding = 0;  // as of Conv
  bool bias = true;
  std::int64_t multiplier = 1;
};
Conv as_conv(const Depthwise& depthwise, std::int64_t channels);
// Over size × size windows; windows that do not fit are left out.
struct Pool {
  enum class Kind { max, average };
  Kind kind = Kind::max;
  std::int64_t size = 2;
  std::int64_t stride = 2;
};
// Over whole images: {C, H, W} becomes {C}.
struct GlobalPool {
  Pool::Kind kind = Pool::Kind::average;
};
// Element by element. gelu(x) = x Φ(x), Φ the normal distribution (Hendrycks and Gimpel 2016), without the
// tanh approximation.
struct Activation {
  enum class Kind { relu, gelu, tanh, sigmoid };
  Kind kind = Kind::relu;
};
struct Flatten {};
// The same values, in row-major order, under another shape: {features}, {time, features} or {C, H, W}.
struct Reshape {
  Shape shape;
};
// x: {T, F}; y: {F}: the last position, or the mean over all.
struct TimePool {
  enum class Kind { last, mean };
  Kind kind = Kind::last;
};
// Ba, Kiros and Hinton 2016, over the last axis of {F} or {T, F}.
struct LayerNorm {
  double epsilon = 1e-5;
};
// x: {T} token numbers, 0 … vocabulary-1; y: {T, units}; W: [vocabulary, units].
struct Embedding {
  std::int64_t vocabulary = 0;
  std::int64_t units = 0;
};
// y = x + W.  x, y, W: {T, F}.
struct PositionEmbedding {};
// Multi-head self-attention, Vaswani et al. 2017.  x, y: {T, F}, F divided among the heads. With names,
// shapes and equations of PyTorch's MultiheadAttention. `causal`: a position sees only itself and those
// before it.
struct Attention {
  std::int64_t heads = 1;
  bool causal = false;
};
// LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014), one direction.  x: {T, F}; y: {T, units}.
// With names, shapes and equations of PyTorch's LSTM and GRU; the state begins with zeros.
struct Recurrent {
  enum class Kind { lstm, gru };
  Kind kind = Kind::lstm;
  std::int64_t units = 0;
};
// Cross-correlation along the positions.  x: {T, F}; y: {T', filters}; W: [filters, F, kernel]; b: [filters].
struct Conv1d {
  std::int64_t filters = 0;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::int64_t zeros_before = 0;  // the padding
  std::int64_t zeros_after = 0;
  bool bias = true;
};
// Inverted dropout: kept values are scaled by 1 / (1 - rate). The rate may differ from lane to lane, so the
// number here is lane 0's and LaneSettings has each lane's own.
struct Dropout {
  double rate = 0.5;
};
// Ioffe and Szegedy 2015, over the *global* batch, so that results do not depend on the number of ranks.
// Per channel for {C, H, W}, per feature for {F} and {T, F}.
struct BatchNorm {
  double momentum = 0.1;  // running = (1 - momentum) * running + momentum * batch
  double epsilon = 1e-5;
};
// y = body(x) + shortcut(x); the shortcut is the identity, or a 1×1 convolution (and batch norm where `body`
// has one) where the shapes differ. He et al. 2016.
struct Residual {
  std::vector<Layer> body;
  std::vector<Layer> shortcut;  // empty: the identity; filled in when the network is planned
};

struct Layer {
  std::variant<Dense, Conv, Depthwise, Pool, GlobalPool, Activation, Flatten, Dropout, BatchNorm, Residual,
               Reshape, TimePool, LayerNorm, Embedding, PositionEmbedding, Attention, Recurrent, Conv1d>
      what;
  Place place;       // in the experiment file
  std::string name;  // "conv1", "dense3", "residual2.conv1": unique, the prefix of its parameters' names
};

// Reads the list under model.layers: `- dense: 128`, `- conv: {filters: 16, kernel: 3}`, `- relu`. `- repeat:
// {times: 3, layers: […]}` stands for its layers so many times. Names are given here.
Result<std::vector<Layer>> read_layers(const Node& node);

// The same for layers that were not read: their names are the kinds, "conv", and become "conv1", "conv2", …
Status name_layers(std::vector<Layer>& layers);

}  // namespace regatta
