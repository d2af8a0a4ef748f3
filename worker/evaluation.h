// Measuring a network on data that it is not trained on, and writing out the best one.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "worker/workbench.h"

namespace regatta {

// Adds prefixed names: "val_loss", "val_accuracy", …
void append_metrics(MetricValues& metrics, std::string_view prefix, const MetricValues& more);

// NaN: there is no such metric.
double metric_named(const MetricValues& metrics, std::string_view name);

// All ranks: the sums of these lanes over the whole split, each rank its share. `sums`: one a lane of the
// engine. The lanes stay selected; the engine is at rest afterwards.
Status measure(Workbench& bench, BatchSource& batches, std::span<const int> lanes, std::span<MetricSums> sums);

struct EvaluationOrder {
  int trial = 0;
  Point point;
  std::string checkpoint;  // relative to the study's folder
};
struct Evaluation {
  MetricValues metrics;  // test_…, or val_… when there is no test data
  std::string model;     // relative to the study's folder: "best/model.safetensors"
  std::string error;     // not empty: why there is neither
};

// All ranks: measures the model of a checkpoint; the leader writes best/model.safetensors and, beside it,
// model.json with the trial's parameters and what one needs to use it: layers, normalization, class names.
Result<Evaluation> evaluate_trial(Workbench& bench, const EvaluationOrder& order);

}  // namespace regatta
