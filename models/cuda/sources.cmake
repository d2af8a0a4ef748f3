# The backend's sources, for the real device and for the tests' emulated one, which brings its own products and
# convolutions.
set(models_cuda_headers
  batch.h block_sum.h convolution.h convolution_graphs.h cudnn_graph.h device.h element_type.h engine.h exchange.h health.h host_feed.h launch.h
  launch_shape.h matmul.h operation.h operations.h parameters.h planner.h program.h runtime.h step_numbers.h step_ring.h
  tensor.h update.h)
set(models_cuda_sources
  convolution_shape.cc dense.cc engine.cc host_feed.cu loss.cu matmul_shape.cc parameters.cc planner.cc program.cc runtime.cc step_ring.cu
  update.cu)
set(models_cuda_libraries convolution.cc convolution_graphs.cc cudnn_graph.cc matmul.cc)  # on cuBLASLt and cuDNN
