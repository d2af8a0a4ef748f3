# The module's sources, for the real device and for the tests' emulated one.
set(data_cuda_headers resident_dataset.h resident_feed.h)
set(data_cuda_sources resident_dataset.cc resident_feed.cu)
