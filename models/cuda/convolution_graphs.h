// The three directions of a convolution as small graphs in cuDNN's terms.
#pragma once

#include "models/cuda/convolution.h"
#include "models/cuda/cudnn_graph.h"

namespace regatta {

// The tensors of the graphs, under the names by which their pointers are handed over; x, w and y also stand
// for dx, dw and dy. Of the last two no pointer is ever seen: they are what one operation hands to the next.
enum class Name : std::int64_t { x = 1, w, y, bias, product, sum };

struct Fusion {
  bool bias = false;
  bool relu = false;
};

Result<CudnnOperations> forward_graph(const ConvolutionShape& shape, const Fusion& fusion);
Result<CudnnOperations> backward_data_graph(const ConvolutionShape& shape);
Result<CudnnOperations> backward_weights_graph(const ConvolutionShape& shape, ElementType result_type);

}  // namespace regatta
