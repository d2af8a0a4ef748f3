// Each is the best of some repeats.
#include "ceilings.h"

#include <algorithm>
#include <functional>

#include "events.h"
#include "models/cuda/matmul.h"
#include "numbers.h"

namespace regatta::cuda {
namespace {

// The shortest of `repeats` calls, after one that is not counted.
Result<double> shortest(const Stream& stream, int repeats, const std::function<Status()>& enqueue) {
  ASSIGN_OR_RETURN(const TimedEvent begin, TimedEvent::create());
  ASSIGN_OR_RETURN(const TimedEvent end, TimedEvent::create());
  RETURN_IF_ERROR(enqueue());
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    RETURN_IF_ERROR(check(cudaEventRecord(begin.get(), stream.get()), "measuring"));
    RETURN_IF_ERROR(enqueue());
    RETURN_IF_ERROR(check(cudaEventRecord(end.get(), stream.get()), "measuring"));
    RETURN_IF_ERROR(check(cudaStreamSynchronize(stream.get()), "measuring"));
    ASSIGN_OR_RETURN(const double seconds, seconds_between(begin.get(), end.get()));
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

Result<double> measure_copy(const CeilingSizes& sizes) {
  const auto bytes = static_cast<std::size_t>(sizes.copy_bytes);
  ASSIGN_OR_RETURN(const DeviceMemory from, DeviceMemory::allocate(bytes, "a large copy"));
  ASSIGN_OR_RETURN(const DeviceMemory to, DeviceMemory::allocate(bytes, "a large copy"));
  ASSIGN_OR_RETURN(const Stream stream, Stream::create());
  fill_with_numbers(from.data(), bytes, ElementType::f32, stream.get());
  const auto copy = [&] {
    return check(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, stream.get()),
                 "a large copy");
  };
  ASSIGN_OR_RETURN(const double seconds, shortest(stream, sizes.repeats, copy));
  return 2 * static_cast<double>(bytes) / seconds;
}

Result<double> measure_products(const CeilingSizes& sizes, MathMode math) {
  const std::int64_t side = sizes.product_side;
  const ElementType type = element_type(math);
  const auto bytes = static_cast<std::size_t>(side * side * bytes_of(type));
  ASSIGN_OR_RETURN(const DeviceMemory a, DeviceMemory::allocate(bytes, "a large product"));
  ASSIGN_OR_RETURN(const DeviceMemory b, DeviceMemory::allocate(bytes, "a large product"));
  ASSIGN_OR_RETURN(const DeviceMemory d, DeviceMemory::allocate(bytes, "a large product"));
  ASSIGN_OR_RETURN(const auto context, make_matmul_context());
  ASSIGN_OR_RETURN(const auto product, plan_matmul(*context, {.m = side,
                                                              .n = side,
                                                              .k = side,
                                                              .a_row = side,
                                                              .b_row = side,
                                                              .d_row = side,
                                                              .math = math,
                                                              .output = type}));
  ASSIGN_OR_RETURN(
      const DeviceMemory workspace,
      DeviceMemory::allocate(static_cast<std::size_t>(product->workspace_bytes()), "a large product"));
  ASSIGN_OR_RETURN(const Stream stream, Stream::create());
  fill_with_numbers(a.data(), bytes, type, stream.get());
  fill_with_numbers(b.data(), bytes, type, stream.get());
  ASSIGN_OR_RETURN(const double seconds, shortest(stream, sizes.repeats, [&] {
                     return product->run(stream.get(), {.a = a.data(), .b = b.data(), .d = d.data()},
                                         workspace.data());
                   }));
  const auto n = static_cast<double>(side);
  return 2 * n * n * n / seconds;
}

}  // namespace regatta::cuda
