// Every operation of the CPU backend, one function for each. A layer's forward work is planned by making it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "models/cpu/operation.h"
#include "models/cpu/planner.h"
#include "models/layers.h"
#include "models/model.h"

namespace regatta {

struct Planned {
  std::unique_ptr<Operation> operation;
  Tensor output;
};

// The activation that a layer of weights applies to its output, while it is still in registers; none: plain.
using Ending = std::optional<Activation::Kind>;
dnnl::post_ops ending_operations(Ending ending);

// What a layer of weights leaves to the next one.
struct OutputOptions {
  Ending ending;
  ElementType type = ElementType::f32;
};
// Where a dense layer's weights are applied: to all of a sample, or to each position of a sequence.
std::int64_t dense_inputs(const Shape& input);
Shape dense_output(const Shape& input, std::int64_t units);
Planned plan_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                   const OutputOptions& options);
Planned plan_conv(Planner& planner, const std::string& name, const Conv& conv, const Tensor& input,
                  const Shape& output, const OutputOptions& options);
// Of gelu(input).
Planned plan_gelu_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                        const OutputOptions& options);
// `applied`: the input is the output of an operation that ends with this activation; only backward is left to
// do.
enum class ActivationForward { needed, applied };
Planned plan_activation(Planner& planner, const Activation& activation, const Tensor& input,
                        ActivationForward forward);
Planned plan_pool(Planner& planner, const Pool& pool, const Tensor& input, const Shape& output);
Planned plan_global_pool(Planner& planner, const GlobalPool& pool, const Tensor& input);
// The same values as floats.
Planned plan_floats(Planner& planner, const Tensor& input);
// The same values under another shape, in row-major layout.
Planned plan_reshape(Planner& planner, const Tensor& input, const Shape& shape);
// The `index`-th dropout layer of the network, from 0. Training only.
Planned plan_dropout(Planner& planner, int index, const Tensor& input);
Planned plan_batch_norm(Planner& planner, const std::string& name, const BatchNorm& norm,
                        const Tensor& input);

// Layers of sequences.
Planned plan_operation(Planner& planner, const std::string& name, const TimePool& pool, const Tensor& input);
Planned plan_operation(Planner& planner, const std::string& name, const LayerNorm& norm, const Tensor& input);
Planned plan_operation(Planner& planner, const std::string& name, const Embedding& embedding,
                       const Tensor& input);
Planned plan_operation(Planner& planner, const std::string& name, const PositionEmbedding&,
                       const Tensor& input);
Planned plan_operation(Planner& planner, const std::string& name, const Attention& attention,
                       const Tensor& input);
Planned plan_operation(Planner& planner, const std::string& name, const Recurrent& recurrent,
                       const Tensor& input);
Planned plan_operation(Planner& planner, const std::string& name, const Conv1d& conv, const Tensor& input);

// The two ends of a residual block. fork: one tensor becomes two; add: two become their sum.
struct PlannedFork {
  std::unique_ptr<Operation> operation;
  Tensor body;
  Tensor shortcut;
};
PlannedFork plan_fork(Planner& planner, const Tensor& input);
Planned plan_add(Planner& planner, const Tensor& body, const Tensor& shortcut);

// Loss and metrics of the network's output; backward begins here. Gradients are those of the mean over
// `global_batch` samples. Labels are smoothed in training only.
std::unique_ptr<Operation> plan_loss(Planner& planner, const TrainConfig& train, const Tensor& output,
                                     std::int64_t global_batch);

}  // namespace regatta
