// Flat memory, the saved form of a lane, and the course of an update.
#include "models/cpu/lanes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "models/cpu/parallel.h"
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

constexpr std::size_t kFloatsOfLine = 16;

std::size_t bytes_of(std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); }

}  // namespace

Lanes::Lanes(const Network& network, const EngineOptions& options)
    : floats_(static_cast<std::size_t>(options.lanes * network.parameter_count)),
      buffers_(bytes_of(options.lanes * network.buffer_count)),
      memory_{.network = &network,
              .lanes = options.lanes,
              .all_lanes = options.lanes,
              .buffers = buffers_.floats()},
      trials_(static_cast<std::size_t>(options.lanes)),
      runs_(trials_.size()),
      segments_(optimizer_segments(network, options.lanes)),
      updates_(trials_.size()),
      squared_norms_(trials_.size()),
      segment_norms_(segments_.size()),
      broken_(trials_.size()) {
  const std::array given = {options.weights, options.gradients, options.first_moments,
                            options.second_moments};
  const std::array<float**, 4> buffers = {&memory_.weights, &memory_.gradients, &first_moments_,
                                          &second_moments_};
  const std::size_t stride = (floats_ + kFloatsOfLine - 1) / kFloatsOfLine * kFloatsOfLine;
  const auto missing =
      static_cast<std::size_t>(std::ranges::count_if(given, [](auto span) { return span.empty(); }));
  own_memory_ = AlignedMemory(missing * stride * sizeof(float));
  float* own = own_memory_.floats();
  for (std::size_t i = 0; i < given.size(); ++i) {
    CHECK(given[i].empty() || given[i].size() == floats_);
    *buffers[i] = given[i].empty() ? std::exchange(own, own + stride) : given[i].data();
  }
  collect_moments_ = options.collect_moments;
  shares_adam_ = !collect_moments_ || !options.second_moments.empty();
}

void Lanes::start(int lane, const LaneSettings& settings) {
  const auto index = static_cast<std::size_t>(lane);
  const bool used = trials_.at(index).started;
  CHECK(shares_adam_ || settings.optimizer.kind == OptimizerConfig::Kind::sgd);
  trials_[index] = {.started = true, .optimizer = settings.optimizer, .schedule = settings.schedule};
  runs_[index] = {.active = true, .seed = settings.seed, .dropout_rates = settings.dropout_rates};
  for (const ParameterSpec& parameter : memory_.network->parameters) {
    const auto size = static_cast<std::size_t>(parameter.size);
    initialize(parameter, settings.seed, {of_lane(memory_.weights, parameter, lane), size});
    if (used) {  // else they are zero, and their memory may never be needed
      std::fill_n(of_lane(first_moments_, parameter, lane), size, 0.0F);
      std::fill_n(of_lane(second_moments_, parameter, lane), size, 0.0F);
    }
  }
  for (const BufferSpec& buffer : memory_.network->buffers) {
    std::fill_n(memory_.buffer(buffer.name, lane), buffer.size, buffer.initial);
  }
}

void Lanes::select(std::span<const int> lanes) {
  for (LaneRun& run : runs_) {
    run.active = false;
  }
  for (const int lane : lanes) {
    const auto index = static_cast<std::size_t>(lane);
    CHECK(trials_.at(index).started, "only a lane with a trial takes steps");
    runs_[index].active = true;
  }
}

std::vector<Lanes::Moment> Lanes::moments(int lane) const {
  const OptimizerConfig& optimizer = trials_.at(static_cast<std::size_t>(lane)).optimizer;
  if (optimizer.kind != OptimizerConfig::Kind::sgd) {
    return {{kFirstMoment, first_moments_}, {kSecondMoment, second_moments_}};
  }
  if (optimizer.momentum > 0) {
    return {{kMomentum, first_moments_}};
  }
  return {};
}

std::vector<Lanes::Piece> Lanes::pieces(int lane) const {
  std::vector<Piece> result;
  std::vector<Moment> kinds = {{"", memory_.weights}};
  const auto optimizer = moments(lane);
  kinds.insert(kinds.end(), optimizer.begin(), optimizer.end());
  for (const auto& [prefix, flat] : kinds) {
    for (const ParameterSpec& parameter : memory_.network->parameters) {
      result.push_back({std::string(prefix) + parameter.name, prefix, &parameter.shape,
                        of_lane(flat, parameter, lane), static_cast<std::size_t>(parameter.size)});
    }
  }
  for (const BufferSpec& buffer : memory_.network->buffers) {
    result.push_back({buffer.name, "", &buffer.shape, memory_.buffer(buffer.name, lane),
                      static_cast<std::size_t>(buffer.size)});
  }
  return result;
}

LaneState Lanes::save(int lane) const {
  if (collect_moments_) {
    collect_moments_();
  }
  LaneState state{.tensors = {}, .steps = runs_.at(static_cast<std::size_t>(lane)).step};
  for (const Piece& piece : pieces(lane)) {
    state.tensors.push_back(
        {.name = piece.name, .shape = *piece.shape, .values = {piece.values, piece.values + piece.size}});
  }
  return state;
}

Status Lanes::restore(int lane, const LaneState& state) {
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

Result<const NamedTensor*> Lanes::find_fitting(const SavedTensors& saved, const Piece& piece) {
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

template <class Function>
void Lanes::for_segments(int threads, const Function& function) const {
  parallel_for(static_cast<std::int64_t>(segments_.size()), threads, [&](std::int64_t i) {
    const OptimizerSegment& segment = segments_[static_cast<std::size_t>(i)];
    if (runs_[static_cast<std::size_t>(segment.lane)].active) {
      function(static_cast<std::size_t>(i), segment);
    }
  });
}

void Lanes::plan_update(double epoch) {
  for (std::size_t lane = 0; lane < trials_.size(); ++lane) {
    if (runs_[lane].active) {
      const Trial& trial = trials_[lane];
      updates_[lane] =
          regatta::plan_update(trial.optimizer, schedule_factor(trial.schedule, epoch), runs_[lane].step + 1);
    }
  }
  std::ranges::fill(broken_, 0.0F);
}

void Lanes::apply(std::size_t begin, std::size_t end) {
  const OptimizerMemory memory = optimizer_memory();
  auto segment = std::ranges::upper_bound(segments_, begin, {}, &OptimizerSegment::offset) - 1;
  for (; begin < end; ++segment) {
    OptimizerSegment part = *segment;
    part.size = std::min(end, part.offset + part.size) - begin;
    part.offset = begin;
    begin += part.size;
    const auto lane = static_cast<std::size_t>(part.lane);
    if (runs_[lane].active && !update_segment(part, updates_[lane], memory)) {
      std::atomic_ref<float>(broken_[lane]).store(1, std::memory_order_relaxed);
    }
  }
}

// Clips each lane's gradient, then moves its weights. The summed gradients are alike on all ranks, so the
// ranks' weights stay alike.
void Lanes::update_all(std::optional<double> gradient_clip, int threads) {
  if (gradient_clip) {
    measure_gradients(threads);
    for (std::size_t lane = 0; lane < trials_.size(); ++lane) {
      updates_[lane].gradient_scale = static_cast<float>(clip_factor(squared_norms_[lane], *gradient_clip));
    }
  }
  for_segments(threads, [&](std::size_t, const OptimizerSegment& segment) {
    apply(segment.offset, segment.offset + segment.size);
  });
}

// The squared length of each lane's gradient, summed in a fixed order.
void Lanes::measure_gradients(int threads) {
  for_segments(threads, [&](std::size_t i, const OptimizerSegment& segment) {
    segment_norms_[i] = squared_norm(memory_.gradients + segment.offset, segment.size);
  });
  std::fill(squared_norms_.begin(), squared_norms_.end(), 0.0);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    squared_norms_[static_cast<std::size_t>(segments_[i].lane)] += segment_norms_[i];
  }
}

bool Lanes::has_finite_buffers(std::size_t lane) const {
  const float* const begin =
      memory_.buffers + static_cast<std::int64_t>(lane) * memory_.network->buffer_count;
  return std::all_of(begin, begin + memory_.network->buffer_count,
                     [](float value) { return std::isfinite(value); });
}

// A lane with a weight or a statistic that is not finite gets no other: half a diverged network could pass
// for one that trains, because relu and max pooling turn NaN into something finite.
void Lanes::end_update(int threads) {
  for (std::size_t lane = 0; lane < runs_.size(); ++lane) {
    if (runs_[lane].active) {
      ++runs_[lane].step;
      broken_[lane] += has_finite_buffers(lane) ? 0.0F : 1.0F;  // the same on all ranks
    }
  }
  if (std::ranges::all_of(broken_, [](float count) { return count == 0; })) {
    return;
  }
  for_segments(threads, [&](std::size_t, const OptimizerSegment& segment) {
    if (broken_[static_cast<std::size_t>(segment.lane)] != 0) {
      std::fill_n(memory_.weights + segment.offset, segment.size, std::numeric_limits<float>::quiet_NaN());
    }
  });
}

}  // namespace regatta
