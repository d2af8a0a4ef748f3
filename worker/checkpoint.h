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

// Tensors by name and texts. https://huggingface.co/docs/safetensors: 8 bytes header length, JSON header,
// data; F32.
struct TensorFile {
  std::vector<NamedTensor> tensors;
  std::map<std::string, std::string> metadata;
};
std::string encode_safetensors(const TensorFile& file);
Result<TensorFile> decode_safetensors(std::string_view bytes);

struct Checkpoint {
  LaneState state;
  int trial = 0;
  std::int64_t epoch = 0;    // finished epochs
  std::int64_t step = 0;     // steps done of the next epoch: suspended in the middle
  std::vector<double> sums;  // training metrics of those steps, this crew's total
  std::uint64_t seed = 0;
  std::vector<double> early_stopping;  // best value, epochs since; empty without
};
Status save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
Result<Checkpoint> load_checkpoint(const std::filesystem::path& path);

// Parameters and buffers only, under PyTorch's names and shapes, for use elsewhere.
Status export_model(const std::filesystem::path& path, const LaneState& state,
                    const std::map<std::string, std::string>& metadata);

}  // namespace regatta
