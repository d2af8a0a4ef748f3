// Every operation of the GPU backend, one function for each. A layer's forward work is planned by making it.
#pragma once

#include <memory>
#include <string>

#include "models/cuda/health.h"
#include "models/cuda/operation.h"
#include "models/cuda/planner.h"
#include "models/layers.h"
#include "models/model.h"

namespace regatta::cuda {

struct Planned {
  std::unique_ptr<Operation> operation;
  Tensor output;
};

// Whether a layer of weights also applies the relu that follows it.
enum class Ending { none, relu };

// Inputs that all lanes share are taken by dense, convolution and embedding; others get them spread.
Result<Planned> plan_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                           Ending ending);
Result<Planned> plan_conv(Planner& planner, const std::string& name, const Conv& conv, const Tensor& input,
                          const Shape& output, Ending ending);
// `applied`: the input is the output of an operation that ends with this relu; only backward is left to do.
enum class ActivationForward { needed, applied };
Result<Planned> plan_activation(Planner& planner, const Activation& activation, const Tensor& input,
                                ActivationForward forward);
// The same values, in the row-major order of the host, under another shape, type or number of lanes.
Result<Planned> plan_reshape(Planner& planner, const Tensor& input, const Shape& shape, ElementType type,
                             int lanes);
Result<Planned> plan_pool(Planner& planner, const Pool& pool, const Tensor& input, const Shape& output);
Result<Planned> plan_global_pool(Planner& planner, const GlobalPool& pool, const Tensor& input);
// The `index`-th dropout layer of the network, from 0. Training only.
Result<Planned> plan_dropout(Planner& planner, int index, const Tensor& input);
// Ending in a relu, it does the relu's backward, too.
Result<Planned> plan_batch_norm(Planner& planner, const std::string& name, const BatchNorm& norm,
                                const Tensor& input, Ending ending = Ending::none);

// Layers of sequences.
Result<Planned> plan_operation(Planner& planner, const std::string& name, const TimePool& pool,
                               const Tensor& input);
Result<Planned> plan_operation(Planner& planner, const std::string& name, const LayerNorm& norm,
                               const Tensor& input);
Result<Planned> plan_operation(Planner& planner, const std::string& name, const Embedding& embedding,
                               const Tensor& input);
Result<Planned> plan_operation(Planner& planner, const std::string& name, const PositionEmbedding&,
                               const Tensor& input);
Result<Planned> plan_operation(Planner& planner, const std::string& name, const Attention& attention,
                               const Tensor& input);
Result<Planned> plan_operation(Planner& planner, const std::string& name, const Recurrent& recurrent,
                               const Tensor& input);
Result<Planned> plan_operation(Planner& planner, const std::string& name, const Conv1d& conv,
                               const Tensor& input);

// The two ends of a residual block. fork: one tensor becomes two; add: two become their sum.
struct PlannedFork {
  std::unique_ptr<Operation> operation;
  Tensor body;
  Tensor shortcut;
};
PlannedFork plan_fork(Planner& planner, const Tensor& input);
Result<Planned> plan_add(Planner& planner, const Tensor& body, const Tensor& shortcut,
                         Ending ending = Ending::none);

// Loss and metrics of the network's output; backward begins here. Gradients are those of the mean over
// `global_batch` samples. Labels are smoothed in training only. `sums`, [lanes][MetricSums::sums().size()],
// on the device, is added to in active lanes; a lane whose loss in training is not finite is broken, and a
// broken lane's loss is NaN.
struct LossMemory {
  double* sums = nullptr;
  Health health;
  const float* target_scale = nullptr;  // regression: see MetricSums
};
Result<std::unique_ptr<Operation>> plan_loss(Planner& planner, const TrainConfig& train, const Tensor& output,
                                             std::int64_t global_batch, const LossMemory& memory);

}  // namespace regatta::cuda
