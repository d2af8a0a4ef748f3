# The backend's sources, for the real device and for the tests' emulated one, which brings its own products and
# convolutions.
set(models_cuda_headers
  add_bias.h attention_graphs.h attention_kernels.h attention_mixing.h batch.h batch_input.h
  batch_memory.h batch_norm_kernels.h batch_norm_work.h block_sum.h column_sums.h columns.h convert.h
  convolution.h convolution_graphs.h cudnn_context.h cudnn_graph.h cudnn_operations.h device.h
  dnn_context.h element_type.h elements.h engine.h exchange.h fused_attention.h health.h host_feed.h
  host_state.h last_block.h launch.h launch_shape.h libraries.h map_elements.h matmul.h moments.h
  operation.h operation_graph.h operations.h parameters.h planner.h pooling.h program.h projection.h
  random_device.h recurrent_kernels.h row_team.h row_work.h runtime.h side_branch.h step_numbers.h
  step_ring.h step_start.h tensor.h token_order.h tokens_device.h update.h windows.h)
set(models_cuda_sources
  activation.cu add_bias.cu attention.cc mixing_fused.cc attention_graphs.cc attention_kernels.cu
  mixing_products.cc batch_memory.cc batch_norm.cc batch_norm_kernels.cu batch_norm_statistics.cu
  column_sums.cu conv.cc conv1d.cc convert.cu convolution_shape.cc dense.cc dropout.cu embedding.cu
  engine.cc global_pool.cu host_feed.cu layer_norm.cu libraries.cc loss.cu matmul_shape.cc parameters.cc
  planner.cc pool.cu position_embedding.cu program.cc projection.cc recurrent.cc recurrent_kernels.cu
  reshape.cu residual.cu runtime.cc side_branch.cc step_ring.cc time_pool.cu token_order.cu update.cu
  windows.cu)
set(models_cuda_libraries  # on cuBLASLt and cuDNN
  convolution.cc convolution_graphs.cc cudnn_context.cc cudnn_graph.cc cudnn_operations.cc fused_attention.cc matmul.cc)
