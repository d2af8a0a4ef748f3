// Evaluation is sharded like training; the leader alone writes.
#include "worker/evaluation.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "worker/agreement.h"
#include "worker/checkpoint.h"
#include "worker/network_json.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;

constexpr const char* kModelFile = "best/model.safetensors";
constexpr const char* kDescriptionFile = "best/model.json";

// JSON has no infinite numbers and no NaN: those stand as YAML texts.
ordered_json json_of(const Value& value) {
  if (const auto* number = std::get_if<double>(&value); number != nullptr && !std::isfinite(*number)) {
    return to_string(value);
  }
  return std::visit([](const auto& held) { return ordered_json(held); }, value);
}

// The values as the search chose them, to the last bit; inactive parameters are left out.
ordered_json parameters_of(const Space& space, const Point& point) {
  ordered_json parameters = ordered_json::object();
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (const auto value = space.value(point, i)) {
      parameters[space.parameters()[i].name] = json_of(*value);
    }
  }
  return parameters;
}

ordered_json describe_model(Workbench& bench, const EvaluationOrder& order, const MetricValues& metrics) {
  const Dataset& dataset = *bench.data().train.dataset;
  const Normalization& normalization = *bench.data().train.normalization;
  ordered_json measured = ordered_json::object();
  for (const auto& [name, value] : metrics) {
    measured[name] = value;
  }
  return {{"experiment", bench.experiment().name},
          {"trial", order.trial},
          {"parameters", parameters_of(bench.experiment().space, order.point)},
          {"metrics", measured},
          {"task", dataset.task == Task::classification ? "classification" : "regression"},
          {"sample_shape", dataset.sample_shape},
          {"features", dataset.feature_names},
          {"classes", dataset.class_names},
          {"targets", dataset.target_names},
          {"normalization",
           {{"formula", "(raw - shift) * scale"},
            {"shift", normalization.shift},
            {"scale", normalization.scale},
            {"target_shift", normalization.target_shift},
            {"target_scale", normalization.target_scale}}},
          {"model", bench.model_yaml()},
          {"layers", describe_layers(bench.config().network)}};
}

Status write_model(Workbench& bench, const EvaluationOrder& order, const LaneState& state,
                   const MetricValues& metrics) {
  const ordered_json description = describe_model(bench, order, metrics);
  RETURN_IF_ERROR(export_model(bench.options().folder / kModelFile, state,
                               {{"experiment", bench.experiment().name},
                                {"trial", std::to_string(order.trial)},
                                {"model", bench.model_yaml()},
                                {"layers", description["layers"].dump()}}));
  return write_file_atomically(
      bench.options().folder / kDescriptionFile,
      description.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

Result<LaneState> restore(Workbench& bench, const EvaluationOrder& order) {
  const std::uint64_t seed = trial_seed(bench.experiment().seed, order.trial);
  ASSIGN_OR_RETURN(Checkpoint checkpoint, load_checkpoint(bench.options().folder / order.checkpoint));
  bench.engine().start_lane(0, lane_settings(bench.config(), seed));
  RETURN_IF_ERROR(bench.engine().restore_lane(0, checkpoint.state));
  return std::move(checkpoint.state);
}

}  // namespace

void append_metrics(MetricValues& metrics, std::string_view prefix, const MetricValues& more) {
  for (const auto& [name, value] : more) {
    metrics.emplace_back(fmt::format("{}{}", prefix, name), value);
  }
}

double metric_named(const MetricValues& metrics, std::string_view name) {
  for (const auto& [metric, value] : metrics) {
    if (metric == name) {
      return value;
    }
  }
  return std::nan("");
}

Status measure(Workbench& bench, BatchSource& batches, std::span<const int> lanes, std::span<MetricSums> sums) {
  bench.engine().select_lanes(lanes);
  for (const int lane : lanes) {
    sums[static_cast<std::size_t>(lane)] = bench.new_sums();
  }
  batches.start_epoch(0);
  while (const BatchView* batch = batches.next()) {
    if (batch->count > 0) {
      RETURN_IF_ERROR(bench.engine().evaluate(*batch, sums));
    }
  }
  RETURN_IF_ERROR(bench.engine().finish());
  for (const int lane : lanes) {
    RETURN_IF_ERROR(bench.communicator().allreduce(sums[static_cast<std::size_t>(lane)].sums()));
  }
  return {};
}

Result<Evaluation> evaluate_trial(Workbench& bench, const EvaluationOrder& order) {
  ASSIGN_OR_RETURN(const auto refusal, bench.prepare(order.point));
  if (refusal) {
    return Evaluation{.error = refusal->message};
  }
  auto state = restore(bench, order);
  ASSIGN_OR_RETURN(const auto unreadable,
                   first_failure(bench.communicator(), state.ok() ? Status() : Status(state.error())));
  if (unreadable) {
    return Evaluation{.error = *unreadable};
  }
  const bool has_test = bench.test() != nullptr;
  BatchSource* const batches = has_test ? bench.test() : bench.validation();
  Evaluation evaluation{.model = kModelFile};
  if (batches != nullptr) {
    std::vector<MetricSums> sums(static_cast<std::size_t>(bench.options().lanes), bench.new_sums());
    RETURN_IF_ERROR(measure(bench, *batches, std::array{0}, sums));
    append_metrics(evaluation.metrics, has_test ? "test_" : "val_", sums.front().result());
  }
  const Status written = bench.is_leader() ? write_model(bench, order, *state, evaluation.metrics) : Status();
  ASSIGN_OR_RETURN(const auto unwritten, first_failure(bench.communicator(), written));
  if (unwritten) {
    return Evaluation{.error = *unwritten};
  }
  return evaluation;
}

}  // namespace regatta
