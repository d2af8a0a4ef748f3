// A network as a sequence of operations on the device, forward and backward.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/cuda/operations.h"
#include "models/cuda/planner.h"
#include "models/model.h"

namespace regatta::cuda {

struct ProgramOptions {
  Phase phase = Phase::train;
  std::int64_t rows = 0;
  std::int64_t global_batch = 0;
  bool has_side_branch = false;
  LossMemory loss;
};

class Program {
 public:
  // What it refers to outlives it.
  static Result<std::unique_ptr<Program>> plan(Libraries& libraries, const Parameters& parameters,
                                               const ModelConfig& config, const ProgramOptions& options);

  std::int64_t rows() const { return planner_.rows(); }
  std::size_t arena_bytes() const { return arena_bytes_; }
  const MemoryPlan& memory() const { return planner_.memory(); }
  const InputLayout& input_layout() const { return input_layout_; }  // in which it reads DeviceBatch::inputs
  unsigned* counters() const { return counters_.as<unsigned>(); }

  // Only enqueue. Backward tells the step's exchange which gradients are final.
  Status forward(const Step& step);
  Status backward(const Step& step);

 private:
  struct Stage {
    std::string name;
    std::unique_ptr<Operation> operation;
    bool has_backward = true;
    std::size_t final_floats = 0;  // of the flat gradients, once backward has passed; 0: as before
  };

  Program(Libraries& libraries, const Parameters& parameters, MathMode math, const ProgramOptions& options);
  Status plan_stages(const ModelConfig& config, const ProgramOptions& options);
  Result<Tensor> lower(const std::vector<Layer>& layers, Tensor input);
  Result<Tensor> lower(const std::vector<Layer>& layers, std::size_t index, const Tensor& input);
  Result<Tensor> lower_conv(const std::string& name, const Conv& conv, const Tensor& input, Ending ending);
  Result<Tensor> lower_residual(const std::string& name, const Residual& residual, const Tensor& input,
                                Ending ending);
  bool is_raw(const Tensor& tensor) const;  // the network's input, which nothing has read yet
  // As this layer reads it: the shape, the type, a copy for each lane.
  Result<Tensor> prepared(const Layer& layer, const Tensor& input);
  Result<Tensor> reshaped(const Tensor& input, const Shape& shape, ElementType type, int lanes);
  Result<Tensor> append(Result<Planned> planned, const std::string& name);
  std::size_t final_floats_after(const std::string& layer_name) const;

  Planner planner_;
  Shape input_shape_;
  bool input_is_laid_out_ = false;
  InputLayout input_layout_;
  std::vector<Stage> stages_;
  std::size_t arena_bytes_ = 0;
  DeviceMemory counters_;
  int dropouts_ = 0;
};

}  // namespace regatta::cuda
