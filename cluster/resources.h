// The `resources:` section: how many crews, how many ranks each, on what.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "experiment/node.h"

namespace regatta {

struct Resources {
  int crews = 1;
  int ranks = 1;                // a crew
  int threads = 1;              // a rank; by default the cores divided by all ranks
  int max_attempts = 3;         // a trial: lost crews before it counts as failed
  std::string device = "auto";  // auto, cpu, cuda
  int lanes = 1;                // trials that a crew trains at once, where their shapes are alike
  bool trace = false;           // workers keep a timeline; not in the file, but of `regatta run --trace`
  std::string wire = "fp32";    // how gradients travel between hosts: fp32, bf16, fp16
};

// Falls back to as many crews of one rank as there are cores; cores: of this machine.
Result<Resources> read_resources(const Node& node, int cores);

// A sentence when all ranks with their threads want more than `cores`; nullopt when they fit.
std::optional<std::string> oversubscription_warning(const Resources& resources, int cores);

}  // namespace regatta
