// The lanes' trainable state: weights, gradients, optimizer moments and buffers of all lanes in flat memory,
// from the first weights of a trial over every update to what a checkpoint keeps.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/cpu/aligned_memory.h"
#include "models/cpu/operation.h"
#include "models/cpu/planner.h"
#include "models/optimizer.h"

namespace regatta {

class Lanes {
 public:
  // `network` outlives this object. `gradients`: see EngineOptions.
  Lanes(const Network& network, int count, std::span<float> gradients);

  int count() const { return memory_.lanes; }
  const ParameterMemory& memory() const { return memory_; }
  std::span<const float> gradients() const { return {memory_.gradients, floats_}; }

  // As Engine's functions of these names.
  void start(int lane, const LaneSettings& settings);
  LaneState save(int lane) const;
  Status restore(int lane, const LaneState& state);
  void select(std::span<const int> lanes);

  // What operations may know of the lanes in the coming step.
  std::span<const LaneRun> runs() const { return runs_; }

  struct UpdateOptions {
    double epoch = 0;                     // the schedule's position
    std::optional<double> gradient_clip;  // largest length of a lane's gradient
    int threads = 1;
  };
  // One optimizer step of every active lane with the gradients in memory.
  void update(const UpdateOptions& options);

 private:
  struct Trial {
    bool started = false;
    OptimizerConfig optimizer;
    ScheduleConfig schedule;
  };
  // A part of a lane's state: where it stands and how it is called.
  struct Piece {
    std::string name;
    std::string_view moment;  // the kind of optimizer state, or empty
    const Shape* shape;
    float* values;
    std::size_t size;
  };
  struct Moment {
    std::string_view prefix;
    float* values;
  };
  using SavedTensors = std::map<std::string, const NamedTensor*, std::less<>>;

  std::vector<Piece> pieces(int lane) const;
  std::vector<Moment> moments(int lane) const;
  static Result<const NamedTensor*> find_fitting(const SavedTensors& saved, const Piece& piece);
  float* of_lane(float* flat, const ParameterSpec& parameter, int lane) const {
    return flat + memory_.lanes * parameter.offset + lane * parameter.size;
  }

  template <class Function>
  void for_segments(int threads, const Function& function) const;  // of active lanes
  void measure_gradients(int threads);
  void apply_updates(int threads);

  std::size_t floats_;  // of the parameters of all lanes
  AlignedMemory weights_;
  AlignedMemory own_gradients_;
  AlignedMemory first_moments_;
  AlignedMemory second_moments_;
  AlignedMemory buffers_;
  ParameterMemory memory_;
  std::vector<Trial> trials_;
  std::vector<LaneRun> runs_;
  std::vector<OptimizerSegment> segments_;
  // Of one update; one a lane, or one a segment.
  std::vector<LaneUpdate> updates_;
  std::vector<double> squared_norms_;
  std::vector<double> segment_norms_;  // squared
  std::vector<char> finite_;
  std::vector<char> segment_finite_;
};

}  // namespace regatta
