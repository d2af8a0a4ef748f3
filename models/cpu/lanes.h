// The lanes' trainable state: weights, gradients, optimizer moments and buffers of all lanes in flat memory,
// from the first weights of a trial over every update to what a checkpoint keeps.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "models/cpu/aligned_memory.h"
#include "models/engine.h"
#include "models/lane_trials.h"
#include "models/optimizer.h"
#include "models/parameter_memory.h"

namespace regatta {

class Lanes final : public WeightUpdate {
 public:
  // `network` outlives this object.
  Lanes(const Network& network, const EngineOptions& options);

  int count() const { return memory_.lanes; }
  const ParameterMemory& memory() const { return memory_; }
  std::span<const float> gradients() const { return {memory_.gradients, floats_}; }

  // As Engine's functions of these names.
  void start(int lane, const LaneSettings& settings);
  LaneState save(int lane) const;
  Status restore(int lane, const LaneState& state) { return trials_->restore(lane, state); }
  void select(std::span<const int> lanes) { trials_->select(lanes); }

  // What operations may know of the lanes in the coming step.
  std::span<const LaneRun> runs() const { return trials_->runs(); }

  // One optimizer step of every active lane with the gradients in memory: plan_update(), then apply() for
  // each float once, then end_update(). update_all() is the second part where no exchange takes it.
  void plan_update(double epoch);  // the schedule's position
  void apply(std::size_t begin, std::size_t end) override;
  void update_all(std::optional<double> gradient_clip,
                  int threads);  // the largest length of a lane's gradient
  // One a lane: above 0 when apply() left a weight that is not finite. Ranks that share an update add theirs
  // up before end_update().
  std::span<float> broken() { return broken_; }
  void end_update(int threads);

 private:
  template <class Function>
  void for_segments(int threads, const Function& function) const;  // of active lanes
  bool has_finite_buffers(std::size_t lane) const;
  void measure_gradients(int threads);
  OptimizerMemory optimizer_memory() const {
    return {memory_.weights, memory_.gradients, first_moments_, second_moments_};
  }

  std::size_t floats_;        // of the parameters of all lanes
  AlignedMemory own_memory_;  // for what the options bring no memory
  AlignedMemory buffers_;
  float* first_moments_;
  float* second_moments_;
  bool shares_adam_;  // whether Adam's moments stand where the ranks can bring their shares together
  std::function<void()> collect_moments_;
  ParameterMemory memory_;
  std::optional<LaneTrials> trials_;
  std::vector<OptimizerSegment> segments_;
  // Of one update; one a lane, or one a segment.
  std::span<LaneUpdate> updates_;
  std::vector<double> squared_norms_;
  std::vector<double> segment_norms_;  // squared
  std::vector<float> broken_;
};

}  // namespace regatta
