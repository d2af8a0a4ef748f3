// The lanes of a network in groups, a program for each. Where a rank has several threads and lanes enough,
// each thread takes a group of lanes from the first layer to the last: kernels of one thread waste less than
// those that all threads share, and nobody waits between layers.
#pragma once

#include <memory>
#include <vector>

#include "models/cpu/program.h"

namespace regatta {

struct LaneGroupOptions {
  std::int64_t rows = 0;
  std::int64_t global_batch = 0;
  int groups = 1;  // at most as many as lanes; with several, a step has no exchange
};

class LaneGroups {
 public:
  LaneGroups(const dnnl::engine& engine, Phase phase, const ParameterMemory& parameters,
             const ModelConfig& config, const LaneGroupOptions& options);

  std::int64_t rows() const { return groups_.front().program->rows(); }
  std::size_t arena_bytes() const;
  // As Program's functions of these names.
  void bind(std::byte* arena);
  Status forward(const Step& step);
  Status backward(const Step& step);

 private:
  struct Group {
    std::size_t first_lane = 0;
    std::size_t lanes = 0;
    std::unique_ptr<Program> program;
    dnnl::stream stream;
    Status status;  // of the last run
  };
  Status run(const Step& step, Status (Program::*direction)(const Step&));

  std::vector<Group> groups_;
};

}  // namespace regatta
