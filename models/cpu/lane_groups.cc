// Cutting the lanes into groups, and running these side by side.
#include "models/cpu/lane_groups.h"

#include <fmt/format.h>

#include "models/cpu/parallel.h"

namespace regatta {

LaneGroups::LaneGroups(const dnnl::engine& engine, Phase phase, const ParameterMemory& parameters,
                       const ModelConfig& config, const LaneGroupOptions& options) {
  CHECK(options.groups >= 1 && options.groups <= parameters.lanes);
  for (int group = 0; group < options.groups; ++group) {
    const int begin = parameters.lanes * group / options.groups;
    const int end = parameters.lanes * (group + 1) / options.groups;
    groups_.push_back(
        {.first_lane = static_cast<std::size_t>(begin),
         .lanes = static_cast<std::size_t>(end - begin),
         .program = std::make_unique<Program>(engine, phase, options.rows, parameters.of_lanes(begin, end),
                                              config, options.global_batch),
         .stream = dnnl::stream(engine),
         .status = {}});
  }
}

std::size_t LaneGroups::arena_bytes() const {
  std::size_t bytes = 0;
  for (const Group& group : groups_) {
    bytes += MemoryPlan::aligned(group.program->arena_bytes());
  }
  return bytes;
}

void LaneGroups::bind(std::byte* arena) {
  for (const Group& group : groups_) {
    group.program->bind(arena);
    arena += MemoryPlan::aligned(group.program->arena_bytes());
  }
}

Status LaneGroups::forward(const Step& step) { return run(step, &Program::forward); }
Status LaneGroups::backward(const Step& step) { return run(step, &Program::backward); }

Status LaneGroups::run(const Step& step, Status (Program::*direction)(const Step&)) {
  if (groups_.size() == 1) {
    return (*groups_.front().program.*direction)(step);
  }
  CHECK(step.exchange == nullptr, "groups of lanes cannot take turns with other ranks");
  const auto count = static_cast<int>(groups_.size());
  parallel_for(count, count, [&](std::int64_t index) {
    Group& group = groups_[static_cast<std::size_t>(index)];
    Step part = step;
    part.stream = group.stream;
    part.threads = 1;
    part.lanes = step.lanes.subspan(group.first_lane, group.lanes);
    part.sums = step.sums.subspan(group.first_lane, group.lanes);
    try {  // an exception may not leave its thread
      group.status = (*group.program.*direction)(part);
    } catch (const dnnl::error& error) {
      group.status = failure(fmt::format("oneDNN could not run a step: {}", error.what()));
    }
  });
  for (const Group& group : groups_) {
    RETURN_IF_ERROR(group.status);
  }
  return {};
}

}  // namespace regatta
