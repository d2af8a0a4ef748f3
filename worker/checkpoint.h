// Checkpoints: a safetensors file that holds all that training changes, and as text in its header where it
// stood. Written beside the target and renamed; a checksum tells a damaged file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "models/engine.h"

namespace regatta {

struct Checkpoint {
  LaneState state;
  int trial = 0;
  std::int64_t epoch = 0;  // finished epochs
  std::int64_t step = 0;   // steps done of the next epoch: suspended in the middle
  // Training metrics of those steps, one row a rank: with as many ranks each goes on with its own, so that
  // the sum is rounded as if nothing had happened. Empty at the end of an epoch.
  std::vector<std::vector<double>> sums;
  std::uint64_t seed = 0;              // of the trial
  std::vector<double> early_stopping;  // see Patience::state
};
Status save_checkpoint(const std::filesystem::path& path, Checkpoint checkpoint);
// A damaged file is an error that names the file and what is wrong with it.
Result<Checkpoint> load_checkpoint(const std::filesystem::path& path);

// Parameters and buffers only, under PyTorch's names and shapes, for use elsewhere.
Status export_model(const std::filesystem::path& path, const LaneState& state,
                    const std::map<std::string, std::string>& metadata);

}  // namespace regatta
