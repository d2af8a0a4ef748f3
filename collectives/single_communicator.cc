// The communicator of a crew of one. It exists so that the training loop has one form for any crew size.
#include <algorithm>

#include "collectives/communicator.h"

namespace regatta {
namespace {

class SingleCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }

  Status allreduce(std::span<float>, const CollectiveOptions&) override { return {}; }
  Status allreduce(std::span<double>, const CollectiveOptions&) override { return {}; }

  Status broadcast(std::span<std::byte>, int root, const CollectiveOptions&) override {
    CHECK(root == 0, "the root is not a rank of this crew");
    return {};
  }

  Status allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                   const CollectiveOptions&) override {
    CHECK(gathered.size() == mine.size());
    std::ranges::copy(mine, gathered.begin());
    return {};
  }

  Status reduce_scatter(std::span<const float> data, std::span<float> slice,
                        const CollectiveOptions&) override {
    CHECK(slice.size() == data.size());
    std::ranges::copy(data, slice.begin());
    return {};
  }

  Status barrier(const CollectiveOptions&) override { return {}; }
};

}  // namespace

std::unique_ptr<Communicator> make_single_communicator() { return std::make_unique<SingleCommunicator>(); }

}  // namespace regatta
