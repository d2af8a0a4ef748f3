// The CPU backend: oneDNN for convolutions, pooling and matrix products, our own loops for the rest.
#pragma once

#include <memory>

#include "models/engine.h"

namespace regatta {

// `config` gives the network, loss, batch-wide training options; lanes start empty (zero weights).
Result<std::unique_ptr<Engine>> make_cpu_engine(const ModelConfig& config, const EngineOptions& options);

}  // namespace regatta
