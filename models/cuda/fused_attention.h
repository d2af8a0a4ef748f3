// Attention on a GPU as one kernel forward, and few backward: no scores stand in memory, but for the backward
// direction's workspace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "models/cuda/attention_graphs.h"
#include "models/cuda/dnn_context.h"

struct CUstream_st;  // cudaStream_t points to one

namespace regatta {

// What planning has settled, for the caller to act on and for audits to print.
struct FusedAttentionPlan {
  std::int64_t forward_workspace_bytes = 0;
  std::int64_t backward_workspace_bytes = 0;
  std::string forward, backward;  // the engine of each, in words; empty: not planned
};

// The directions only enqueue work on `stream`, lane after lane, as Convolution's do
// (models/cuda/convolution.h). Results are the same bits each time.
class FusedAttention {
 public:
  virtual ~FusedAttention() = default;

  const AttentionShape& shape() const { return shape_; }
  const FusedAttentionPlan& plan() const { return plan_; }

  // Reads `projected`; leaves `mixed` and `statistics`. `workspace`: forward_workspace_bytes that nobody else
  // uses meanwhile, aligned to 256 bytes; all other pointers are multiples of 16.
  virtual Status forward(CUstream_st* stream, const AttentionMemory& memory, void* workspace) = 0;
  // Reads those and `mixed_gradient`; leaves `projected_gradient`, and in `row_sums` what is of no further
  // use.
  virtual Status backward(CUstream_st* stream, const AttentionMemory& memory, void* workspace) = 0;

 protected:
  FusedAttention(const AttentionShape& shape, FusedAttentionPlan plan)
      : shape_(shape), plan_(std::move(plan)) {}

 private:
  AttentionShape shape_;
  FusedAttentionPlan plan_;
};

// Fails where the library has no such kernel for the shape, or none within the context's limit: the caller
// has another way. Of a head's features there must be a multiple of 8. `needs_backward`: not in evaluation.
Result<std::unique_ptr<FusedAttention>> plan_fused_attention(DnnContext& context, const AttentionShape& shape,
                                                             bool needs_backward);

}  // namespace regatta
