// A network planned for an input shape: every layer's shapes, and where each parameter stands in the flat
// buffer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/layers.h"
#include "models/shape.h"

namespace regatta {

enum class Initializer {
  he_uniform,      // U(±√(6 / fan_in)) (He et al. 2015): before relu
  glorot_uniform,  // U(±√(6 / (fan_in + fan_out))) (Glorot and Bengio 2010): other weights
  uniform_fan_in,  // U(±1 / √fan_in): recurrent layers, as PyTorch has them
  small_normal,    // N(0, 0.02²): embeddings (Radford et al. 2018)
  zeros,
  ones,
};

struct ParameterSpec {
  std::string name;  // "conv1.weight", as PyTorch names them: weight, bias
  Shape shape;       // PyTorch's order: [out, in], [out, in, kh, kw]
  Initializer initializer = Initializer::zeros;
  std::int64_t fan_in = 0;
  std::int64_t fan_out = 0;
  bool decays = true;       // weight decay applies: not to biases and norms
  std::int64_t offset = 0;  // in floats, of one lane's flat buffer
  std::int64_t size = 0;
};

// State that training changes without gradients: batch norm's running_mean and running_var.
struct BufferSpec {
  std::string name;
  Shape shape;
  float initial = 0;
  std::int64_t offset = 0;  // in floats, of one lane's flat state buffer
  std::int64_t size = 0;
};

struct PlannedLayer {
  Layer layer;  // of a residual: `body` and `shortcut` are planned in turn and stand here flattened
  Shape input;
  Shape output;
  int depth = 0;  // of nesting in residual blocks, for printing
  std::int64_t parameter_count = 0;
};

struct Network {
  Shape input;
  Shape output;
  std::vector<Layer> layers;          // shortcuts filled in
  std::vector<PlannedLayer> summary;  // every layer, nested ones too, in the order of the file
  // In the order in which backward finishes them: the last layer's first. With L lanes parameter p of lane l
  // stands at L * offset + l * size, so that a layer's lanes are neighbours and a prefix of the buffer is a
  // bucket.
  std::vector<ParameterSpec> parameters;
  std::vector<BufferSpec> buffers;
  std::int64_t parameter_count = 0;  // floats of one lane
  std::int64_t buffer_count = 0;
};

// Infers every shape. What does not fit ("the window 5×5 is larger than the input 3×3") is a located mistake.
Result<Network> plan_network(std::vector<Layer> layers, const Shape& input);

}  // namespace regatta
