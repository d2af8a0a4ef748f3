// The `model:` and `train:` sections: a network, its loss and how it is optimised.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "experiment/node.h"
#include "models/metrics.h"
#include "models/network.h"

namespace regatta {

enum class Loss {
  cross_entropy,  // softmax and negative log likelihood, in nats; outputs are logits
  mse,            // mean over samples and outputs of (y - t)²
};

struct OptimizerConfig {
  enum class Kind { sgd, adam, adamw };
  Kind kind = Kind::sgd;
  double lr = 0.01;
  double momentum = 0;    // sgd
  bool nesterov = false;  // sgd
  double beta1 = 0.9;     // adam, adamw (Kingma and Ba 2015)
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay =
      0;  // sgd, adam: added to the gradient (L2); adamw: decoupled (Loshchilov and Hutter 2019)
};

// lr(t) = optimizer.lr × factor(t), t = epochs trained so far, with fractions.
struct ScheduleConfig {
  enum class Kind { constant, cosine, step };
  Kind kind = Kind::constant;
  double warmup_epochs = 0;  // linear from 0 to the full rate, before the rest
  double final_factor = 0;   // cosine: factor at the last epoch
  double step_epochs = 0;    // step: every so many epochs after the warmup …
  double step_factor = 0.1;  // … times this
  double total_epochs = 0;   // cosine: the horizon; set from the scheduler's max_epochs
};
double schedule_factor(const ScheduleConfig& schedule, double epoch);

struct EarlyStopping {
  std::string metric;  // as reported, e.g. "val_loss"
  bool maximize = false;
  int patience = 5;  // epochs without improvement
  double min_delta = 0;
};

// What the numbers of matrix products and convolutions are. Sums, weights, gradients of weights, the loss and
// all else are fp32. tf32: fp32 whose products may lose 13 bits of the mantissa; a device without such
// arithmetic computes them whole.
enum class Precision { fp32, tf32, bf16 };

struct TrainConfig {
  Loss loss = Loss::cross_entropy;
  double label_smoothing = 0;  // cross entropy: this part of each target is spread evenly over the classes
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  Precision precision = Precision::fp32;
  std::int64_t batch_size = 128;        // global: over all ranks
  std::optional<double> gradient_clip;  // largest L2 norm of the whole gradient of a lane
  // Virtual shards of a batch, so that any number of ranks computes the same bits; a power of two. 0: none.
  int shards = 0;
  std::optional<EarlyStopping> early_stopping;
};

struct ModelConfig {
  Network network;
  TrainConfig train;
};

// What the data asks of a model.
struct ModelInput {
  Shape sample_shape;
  bool classification = true;
  std::int64_t outputs = 0;    // classes, or regression targets
  std::int64_t positions = 1;  // labels of a sample: more than one asks for the output {positions, outputs}
  std::int64_t tokens = 0;     // the inputs are whole numbers from 0 to below this; 0: they are not
  int max_epochs = 1;          // the schedule's horizon
};
Prediction prediction_of(const ModelInput& input);

// `model` and `train` with every $name already substituted. The network's output must be {outputs}, or
// {positions, outputs}; the loss must fit the task (its default does).
Result<ModelConfig> read_model(const Node& model, const Node& train, const ModelInput& input);

}  // namespace regatta
