// A network as a sequence of operations for a fixed number of rows, planned once: forward in order, backward
// in reverse.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/cpu/operations.h"
#include "models/cpu/planner.h"
#include "models/model.h"

namespace regatta {

class Program {
 public:
  struct Stage {
    std::string name;  // of the layer, or of what stands between layers
    std::unique_ptr<Operation> operation;
    bool has_backward = false;
    std::size_t final_floats = 0;  // of the flat gradient buffer, once this stage's backward is done
  };

  Program(const dnnl::engine& engine, Phase phase, std::int64_t rows, const ParameterMemory& parameters,
          const ModelConfig& config, std::int64_t global_batch);

  std::int64_t rows() const { return planner_.rows(); }
  std::size_t arena_bytes() const { return arena_bytes_; }
  // Before the first step. Programs that never run at the same time may share an arena.
  void bind(std::byte* arena) { planner_.bind(arena); }

  // Outputs, loss and metrics of step.batch, whose inputs have rows() rows.
  Status forward(const Step& step);
  // After forward: gradients of all parameters. Tells step.exchange what is final.
  Status backward(const Step& step);

  // In the order of forward; the last one is the loss.
  const std::vector<Stage>& stages() const { return stages_; }

 private:
  // Appends the layers' stages; returns their output.
  Tensor lower(const std::vector<Layer>& layers, Tensor input);
  Tensor lower(const std::vector<Layer>& layers, std::size_t index, const Tensor& input);
  Tensor lower_conv(const std::string& name, const Conv& conv, const Tensor& input,
                    const OutputOptions& options);
  Tensor lower_residual(const std::string& name, const Residual& residual, const Tensor& input);
  Tensor append(Planned planned, const std::string& name);
  Tensor floats(const Tensor& input);
  Tensor flat(const Tensor& input);
  Tensor reshaped(const Tensor& input, const Shape& shape);
  std::size_t final_floats_after(const std::string& layer_name) const;

  Planner planner_;
  std::vector<Stage> stages_;
  int dropouts_ = 0;
  int nesting_ = 0;  // in residual blocks, of the layer that is being lowered
  std::size_t arena_bytes_ = 0;
};

}  // namespace regatta
