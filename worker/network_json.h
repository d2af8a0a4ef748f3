// A planned network as JSON, for programs that rebuild it to use the exported weights.
#pragma once

#include <nlohmann/json.hpp>

#include "models/network.h"

namespace regatta {

// A list in the order of forward. Each layer is a map: `layer` (as in the experiment file), `name` (the
// prefix of its tensors), every option with its value, and the shapes `input` and `output`. A residual holds
// two such lists, `body` and `shortcut`; an empty shortcut is the identity. Padding stands as numbers of
// zeros.
nlohmann::ordered_json describe_layers(const Network& network);

}  // namespace regatta
