// The same bits for any number of ranks (`deterministic: world`): the global batch is cut into a fixed number
// of virtual shards, and what a rank computes is one shard's work several times over.
#pragma once

#include <memory>

#include "base/result.h"
#include "collectives/communicator.h"
#include "models/engine.h"

namespace regatta {

// Each shard is a rank as far as the engine can tell: an engine of its own, planned for the shard's rows with
// one thread, so that the same kernels see the same numbers wherever it runs. The shards of a rank run on
// threads of their own and meet where ranks meet: for batch statistics and for gradients. Sums over shards
// are always taken along the same binary tree, first the aligned subtree within a rank, then over the ranks;
// with a power of two of each, where a rank's part ends makes no difference. After every step all shards hold
// the same weights.
//
// Metrics are the whole crew's and stand in rank 0's sums; other ranks' stay zero. Every rank is to evaluate
// all samples, not its share of them.
//
// `shards`: over all ranks; a power of two that the ranks divide, at most global_batch. `options`: the crew's
// global_batch, evaluation_capacity and lanes; batch_capacity, threads and gradients are not used. Steps take
// no exchange: the engine has its own. The communicator must outlive it.
Result<std::unique_ptr<Engine>> make_sharded_engine(const ModelConfig& config, const EngineOptions& options,
                                                    int shards, Communicator& communicator);

}  // namespace regatta
