# What gpu-benchmark is built from, also for the tests' emulated device, which has no libraries to tell of.
set(gpu_benchmark_sources ceilings.cc main.cc numbers.cu trainer.cc)
