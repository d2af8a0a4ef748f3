// A text as a dataset for models that continue it: numbered tokens, cut into samples.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "data/dataset.h"

namespace regatta {

struct TextOptions {
  std::int64_t context = 64;  // tokens of a sample
  bool bytes = false;         // tokens are bytes; else the characters of UTF-8
};

// Sample s holds the tokens from s · context on; its labels are those tokens that follow each. What is left
// over is dropped. The vocabulary, in class_names, is what occurs in the text, in the order of the code.
Result<Dataset> make_text_dataset(std::string_view text, const TextOptions& options);

// Tokens stay the numbers that they are.
Normalization token_normalization(const Dataset& dataset);

}  // namespace regatta
