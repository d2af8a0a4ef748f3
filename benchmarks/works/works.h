// What the benchmarks train: networks by name, each with its twin in networks.py, and made-up data of their
// shape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/dataset.h"
#include "models/model.h"

namespace regatta {

inline constexpr std::int64_t kGlobalBatch = 256;

struct Work {
  std::string_view name;
  std::string layers;  // YAML, under model.layers
  Shape input;
  std::int64_t classes = 10;
  bool text = false;                  // token numbers below `classes`, and one to be told at each position
  std::int64_t batch = kGlobalBatch;  // over all ranks
  std::string_view optimizer = "{type: sgd, lr: 0.01, momentum: 0.9}";
};

const std::vector<Work>& works();
Result<Work> find_work(std::string_view name);

// `precision`: as in an experiment file.
Result<ModelConfig> model_of(const Work& work, std::string_view precision = "fp32");
// `samples` images of random bytes, rows of a table or texts, with random labels.
Split made_up_data(const Work& work, std::int64_t samples);

}  // namespace regatta
