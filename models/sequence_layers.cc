// Readers of the layers of sequences.
#include <fmt/format.h>

#include "models/layer_options.h"

namespace regatta {

Result<What> read_reshape(const Node& node) {
  constexpr std::size_t kMostSizes = 3;
  if (!node.is_sequence() || node.items().empty() || node.items().size() > kMostSizes) {
    return mistake_at(
        node.place(),
        "expected the sizes of the new shape, such as `reshape: [28, 28]` for 28 positions of 28 "
        "features");
  }
  Reshape reshape;
  for (const Node& item : node.items()) {
    const auto size = read_integer(item);
    if (!size.ok() || *size < 1 || *size > kLargestWidth) {
      return mistake_at(item.place(), fmt::format("expected a size from 1 to {}", kLargestWidth));
    }
    reshape.shape.push_back(*size);
  }
  return What(std::move(reshape));
}

Result<What> read_time_pool(const Node& node) {
  Options options(node, "pool_time", "kind");
  TimePool pool;
  if (options->choice("kind", {"last", "mean"}) == "mean") {
    pool.kind = TimePool::Kind::mean;
  }
  return options.finish(pool);
}

}  // namespace regatta
