// The lanes' trials: what each trains with, which of them take the next step, and a lane's state as named
// tensors. The flat memory is the host's; a backend whose weights stand elsewhere brings them there and back.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/engine.h"
#include "models/optimizer.h"
#include "models/parameter_memory.h"

namespace regatta {

// What a step's operations may know of a lane.
struct LaneRun {
  bool active = false;  // a lane that is idle or not selected is skipped: its memory is not touched
  std::uint64_t seed = 0;
  std::int64_t step = 0;  // optimizer steps taken so far
  std::vector<double> dropout_rates;
};

class LaneTrials {
 public:
  // Moments: as many floats as the parameters of all lanes. All memory is zero at first and outlives this.
  LaneTrials(const ParameterMemory& memory, float* first_moments, float* second_moments);

  // As Engine's functions of these names.
  void start(int lane, const LaneSettings& settings);
  LaneState save(int lane) const;
  Status restore(int lane, const LaneState& state);
  void select(std::span<const int> lanes);

  std::span<const LaneRun> runs() const { return runs_; }
  bool is_active(int lane) const { return runs_[static_cast<std::size_t>(lane)].active; }

  // The numbers of every active lane's next optimizer step, one a lane, at a position of the schedules.
  std::span<LaneUpdate> plan_updates(double epoch);
  // The active lanes have taken it.
  void count_step();

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

  ParameterMemory memory_;
  float* first_moments_;
  float* second_moments_;
  std::vector<Trial> trials_;
  std::vector<LaneRun> runs_;
  std::vector<LaneUpdate> updates_;
};

}  // namespace regatta
