// Flat memory and the course of an update.
#include "models/cpu/lanes.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "models/cpu/parallel.h"

namespace regatta {
namespace {

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
      segments_(optimizer_segments(network, options.lanes)),
      squared_norms_(static_cast<std::size_t>(options.lanes)),
      segment_norms_(segments_.size()),
      broken_(squared_norms_.size()) {
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
  trials_.emplace(memory_, first_moments_, second_moments_);
}

void Lanes::start(int lane, const LaneSettings& settings) {
  CHECK(shares_adam_ || settings.optimizer.kind == OptimizerConfig::Kind::sgd);
  trials_->start(lane, settings);
}

LaneState Lanes::save(int lane) const {
  if (collect_moments_) {
    collect_moments_();
  }
  return trials_->save(lane);
}

template <class Function>
void Lanes::for_segments(int threads, const Function& function) const {
  parallel_for(static_cast<std::int64_t>(segments_.size()), threads, [&](std::int64_t i) {
    const OptimizerSegment& segment = segments_[static_cast<std::size_t>(i)];
    if (trials_->is_active(segment.lane)) {
      function(static_cast<std::size_t>(i), segment);
    }
  });
}

void Lanes::plan_update(double epoch) {
  updates_ = trials_->plan_updates(epoch);
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
    if (trials_->is_active(part.lane) && !update_segment(part, updates_[lane], memory)) {
      std::atomic_ref<float>(broken_[lane]).store(1, std::memory_order_relaxed);
    }
  }
}

// Clips each lane's gradient, then moves its weights. The summed gradients are alike on all ranks, so the
// ranks' weights stay alike.
void Lanes::update_all(std::optional<double> gradient_clip, int threads) {
  if (gradient_clip) {
    measure_gradients(threads);
    for (std::size_t lane = 0; lane < broken_.size(); ++lane) {
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
  trials_->count_step();
  for (std::size_t lane = 0; lane < broken_.size(); ++lane) {
    if (trials_->is_active(static_cast<int>(lane))) {
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
