// Memory for ranks that share none.
#include "collectives/communicator.h"

namespace regatta {
namespace {

class PrivateMemory final : public FloatMemory {
 public:
  explicit PrivateMemory(std::size_t floats) : floats_(floats) {}
  std::span<float> floats() override { return floats_; }

 private:
  std::vector<float> floats_;
};

}  // namespace

Result<std::unique_ptr<FloatMemory>> Communicator::allocate(std::size_t floats) {
  return std::unique_ptr<FloatMemory>(std::make_unique<PrivateMemory>(floats));
}

}  // namespace regatta
