// Tensors by name in one file, as PyTorch, NumPy and others read them:
// https://huggingface.co/docs/safetensors.
//
//   8 bytes    header length, little endian
//   header     JSON {"__metadata__": {"text": "text"}, "name": {"dtype", "shape", "data_offsets": [begin,
//   end]}} data       the tensors without gaps
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/engine.h"

namespace regatta {

struct TensorFile {
  std::vector<NamedTensor> tensors;             // names are distinct
  std::map<std::string, std::string> metadata;  // UTF-8
  bool has_checksum = false;                    // as read
};

// Adds a checksum of header and data to the metadata.
std::string encode_safetensors(const TensorFile& file);

// Reads F32 tensors in the order of their data. Strict: what is not exactly as the format says is an error,
// as is a checksum that does not fit. Files without our checksum are read too.
Result<TensorFile> decode_safetensors(std::string_view bytes);

}  // namespace regatta
