// What a saved lane holds, by name, and the course of a trial's numbers.
#include "models/lane_trials.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "models/initializers.h"

namespace regatta {
namespace {

// Optimizer state, as it is called in a saved lane: one of these before the parameter's name.
constexpr std::string_view kMomentum = "optimizer.momentum.";
constexpr std::string_view kFirstMoment = "optimizer.first_moment.";
constexpr std::string_view kSecondMoment = "optimizer.second_moment.";

bool is_moment(std::string_view name) {
  return name.starts_with(kMomentum) || name.starts_with(kFirstMoment) || name.starts_with(kSecondMoment);
}

}  // namespace

LaneTrials::LaneTrials(const ParameterMemory& memory, float* first_moments, float* second_moments)
    : memory_(memory),
      first_moments_(first_moments),
      second_moments_(second_moments),
      trials_(static_cast<std::size_t>(memory.lanes)),
      runs_(trials_.size()),
      updates_(trials_.size()) {}

void LaneTrials::start(int lane, const LaneSettings& settings) {
  const auto index = static_cast<std::size_t>(lane);
  const bool used = trials_.at(index).started;
  trials_[index] = {.started = true, .optimizer = settings.optimizer, .schedule = settings.schedule};
  runs_[index] = {.active = true, .seed = settings.seed, .dropout_rates = settings.dropout_rates};
  for (const ParameterSpec& parameter : memory_.network->parameters) {
    const auto size = static_cast<std::size_t>(parameter.size);
    initialize(parameter, settings.seed, {memory_.of_lane(memory_.weights, parameter, lane), size});
    if (used) {  // else they are zero, and their memory may never be needed
      std::fill_n(memory_.of_lane(first_moments_, parameter, lane), size, 0.0F);
      std::fill_n(memory_.of_lane(second_moments_, parameter, lane), size, 0.0F);
    }
  }
  for (const BufferSpec& buffer : memory_.network->buffers) {
    std::fill_n(memory_.buffer(buffer.name, lane), buffer.size, buffer.initial);
  }
}

void LaneTrials::select(std::span<const int> lanes) {
  for (LaneRun& run : runs_) {
    run.active = false;
  }
  for (const int lane : lanes) {
    const auto index = static_cast<std::size_t>(lane);
    CHECK(trials_.at(index).started, "only a lane with a trial takes steps");
    runs_[index].active = true;
  }
}

std::vector<LaneTrials::Moment> LaneTrials::moments(int lane) const {
  const OptimizerConfig& optimizer = trials_.at(static_cast<std::size_t>(lane)).optimizer;
  if (optimizer.kind != OptimizerConfig::Kind::sgd) {
    return {{kFirstMoment, first_moments_}, {kSecondMoment, second_moments_}};
  }
  if (optimizer.momentum > 0) {
    return {{kMomentum, first_moments_}};
  }
  return {};
}

std::vector<LaneTrials::Piece> LaneTrials::pieces(int lane) const {
  std::vector<Piece> result;
  std::vector<Moment> kinds = {{"", memory_.weights}};
  const auto optimizer = moments(lane);
  kinds.insert(kinds.end(), optimizer.begin(), optimizer.end());
  for (const auto& [prefix, flat] : kinds) {
    for (const ParameterSpec& parameter : memory_.network->parameters) {
      result.push_back({std::string(prefix) + parameter.name, prefix, &parameter.shape,
                        memory_.of_lane(flat, parameter, lane), static_cast<std::size_t>(parameter.size)});
    }
  }
  for (const BufferSpec& buffer : memory_.network->buffers) {
    result.push_back({buffer.name, "", &buffer.shape, memory_.buffer(buffer.name, lane),
                      static_cast<std::size_t>(buffer.size)});
  }
  return result;
}

LaneState LaneTrials::save(int lane) const {
  LaneState state{.tensors = {}, .steps = runs_.at(static_cast<std::size_t>(lane)).step};
  for (const Piece& piece : pieces(lane)) {
    state.tensors.push_back(
        {.name = piece.name, .shape = *piece.shape, .values = {piece.values, piece.values + piece.size}});
  }
  return state;
}

Status LaneTrials::restore(int lane, const LaneState& state) {
  SavedTensors saved;
  for (const NamedTensor& tensor : state.tensors) {
    if (!saved.emplace(tensor.name, &tensor).second) {
      return failure(fmt::format("the saved state has '{}' twice", tensor.name));
    }
  }
  const auto has_moment = [&](std::string_view prefix) {
    return std::any_of(state.tensors.begin(), state.tensors.end(),
                       [&](const NamedTensor& tensor) { return tensor.name.starts_with(prefix); });
  };
  std::vector<std::pair<const NamedTensor*, float*>> copies;
  bool new_moments = false;  // the state was saved by an optimizer that does not keep what this one needs
  for (const Piece& piece : pieces(lane)) {
    if (!piece.moment.empty() && !has_moment(piece.moment)) {
      new_moments = true;
      continue;
    }
    ASSIGN_OR_RETURN(const NamedTensor* tensor, find_fitting(saved, piece));
    copies.emplace_back(tensor, piece.values);
    saved.erase(tensor->name);
  }
  for (const auto& [name, tensor] : saved) {
    if (!is_moment(name)) {
      return failure(fmt::format("the saved state has '{}', which this network has not", name));
    }
  }
  for (const auto& [tensor, values] : copies) {
    std::copy(tensor->values.begin(), tensor->values.end(), values);
  }
  runs_[static_cast<std::size_t>(lane)].step = new_moments ? 0 : state.steps;
  return {};
}

Result<const NamedTensor*> LaneTrials::find_fitting(const SavedTensors& saved, const Piece& piece) {
  const auto found = saved.find(piece.name);
  if (found == saved.end()) {
    return failure(fmt::format("the saved state has no '{}', which this network has", piece.name));
  }
  const NamedTensor& tensor = *found->second;
  if (tensor.shape != *piece.shape || tensor.values.size() != piece.size) {
    return failure(fmt::format("'{}' of the saved state is {} with {} values, but the network's is {}",
                               piece.name, describe(tensor.shape), tensor.values.size(),
                               describe(*piece.shape)));
  }
  return found->second;
}

std::span<LaneUpdate> LaneTrials::plan_updates(double epoch) {
  for (std::size_t lane = 0; lane < trials_.size(); ++lane) {
    if (runs_[lane].active) {
      const Trial& trial = trials_[lane];
      updates_[lane] =
          plan_update(trial.optimizer, schedule_factor(trial.schedule, epoch), runs_[lane].step + 1);
    }
  }
  return updates_;
}

void LaneTrials::count_step() {
  for (LaneRun& run : runs_) {
    run.step += run.active ? 1 : 0;
  }
}

}  // namespace regatta
