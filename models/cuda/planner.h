// What operations use while they are planned: tensors, the parameters, memory for a step, and the libraries'
// handles.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/cuda/libraries.h"
#include "models/cuda/operation.h"
#include "models/cuda/parameters.h"
#include "models/cuda/tensor.h"
#include "models/memory_plan.h"

namespace regatta::cuda {

class Planner {
 public:
  // `has_side_branch`: steps have one.
  Planner(Libraries& libraries, Phase phase, std::int64_t rows, const Parameters& parameters, MathMode math,
          bool has_side_branch);

  Phase phase() const { return phase_; }
  MathMode math() const { return math_; }
  ElementType type() const { return element_type(math_); }  // of activations and what products read
  std::int64_t rows() const { return rows_; }
  int lanes() const { return parameters_.lanes(); }
  const Parameters& parameters() const { return parameters_; }
  Libraries& libraries() { return libraries_; }

  // Memory. Everything allocated lives from the operation being planned to the last one that uses it.
  Tensor network_input(const Shape& shape, ElementType type);  // shared by all lanes
  Tensor allocate(const Shape& shape, ElementType type);
  Tensor allocate(const Shape& shape) { return allocate(shape, type()); }
  // As many elements of all lanes as `like`, another type.
  Tensor allocate_like(const Tensor& like, ElementType type);
  // Values without a shape, for whatever an operation keeps: a tensor {count} of one row, not of each lane.
  Tensor allocate_values(std::int64_t count, ElementType type);
  // For a relu of `units` at each point; none where there are several lanes.
  std::optional<ReluMask> allocate_relu_mask(std::int64_t points, std::int64_t units);
  // The same memory under another shape, as a tensor of its own.
  Tensor view(const Tensor& tensor, const Shape& shape);
  void use(const Tensor& tensor);
  void use(const ReluMask& mask) { memory_.use(mask.bits); }
  // For work on the side branch, which may be done as late as the last operation.
  bool has_side_branch() const { return has_side_branch_; }
  void use_to_the_end(const Tensor& tensor);
  // Of is_last_block (models/cuda/last_block.h), for one kernel alone: Step::counters from here on.
  std::int64_t allocate_counters(std::int64_t count);
  std::int64_t counters() const { return counters_; }  // all of them
  // For the operation being planned only, at multiples of 256 bytes.
  Tensor workspace(std::int64_t bytes);
  // Of its products, which run one after another and so have one, the largest.
  Tensor product_workspace(std::int64_t bytes);
  // Of all work on the side branch, which runs in order as well.
  Tensor side_workspace(std::int64_t bytes);

  // Gradients of tensors, while backward is planned. They have the tensor's shape and type.
  Tensor gradient(const Tensor& of) const;
  void set_gradient(const Tensor& of, Tensor gradient);
  // What may be added to the gradient of `of`, in the pass that makes it: see Tensor::shortcut.
  std::optional<Tensor> shortcut_gradient(const Tensor& of) const;

  void advance();  // the next operation
  // After the last: bytes of the arena.
  std::size_t arrange();
  const MemoryPlan& memory() const { return memory_; }

 private:
  Tensor share(std::optional<Tensor>& shared, std::int64_t bytes);

  Libraries& libraries_;
  Phase phase_;
  std::int64_t rows_;
  const Parameters& parameters_;
  MathMode math_;
  bool has_side_branch_;
  MemoryPlan memory_;
  std::vector<Tensor> used_to_the_end_;
  std::optional<Tensor> product_workspace_;  // of the operation being planned
  std::optional<Tensor> side_workspace_;
  std::vector<std::optional<Tensor>> gradients_;
  int next_id_ = 0;
  std::int64_t counters_ = 0;
};

}  // namespace regatta::cuda
