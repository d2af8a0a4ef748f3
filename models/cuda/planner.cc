// Bookkeeping of tensors and their memory while a program is planned.
#include "models/cuda/planner.h"

#include "base/check.h"
#include "models/cuda/matmul.h"

namespace regatta::cuda {
namespace {

constexpr std::size_t kArenaAlignment = 256;  // what libraries ask for their workspaces

}  // namespace

Planner::Planner(Libraries& libraries, Phase phase, std::int64_t rows, const Parameters& parameters,
                 MathMode math, bool has_side_branch)
    : libraries_(libraries),
      phase_(phase),
      rows_(rows),
      parameters_(parameters),
      math_(math),
      has_side_branch_(has_side_branch),
      memory_(kArenaAlignment) {}

Tensor Planner::network_input(const Shape& shape, ElementType type) {
  return {.shape = shape, .rows = rows_, .lanes = 1, .type = type, .id = next_id_++};
}

Tensor Planner::allocate(const Shape& shape, ElementType type) {
  Tensor tensor{.shape = shape, .rows = rows_, .lanes = lanes(), .type = type, .id = next_id_++};
  tensor.buffer = memory_.allocate(static_cast<std::size_t>(tensor.bytes()));
  return tensor;
}

Tensor Planner::allocate_like(const Tensor& like, ElementType type) {
  Tensor tensor = like;
  tensor.type = type;
  tensor.id = next_id_++;
  tensor.needs_gradient = false;
  tensor.is_relu_output = false;
  tensor.relu_mask.reset();
  tensor.is_masked = false;
  tensor.shortcut = -1;
  tensor.has_shortcut_gradient = false;
  tensor.late_sum.reset();
  tensor.buffer = memory_.allocate(static_cast<std::size_t>(tensor.bytes()));
  return tensor;
}

Tensor Planner::allocate_values(std::int64_t count, ElementType type) {
  Tensor tensor{.shape = {count}, .rows = 1, .lanes = 1, .type = type, .id = next_id_++};
  tensor.buffer = memory_.allocate(static_cast<std::size_t>(tensor.bytes()));
  return tensor;
}

// The bits of several lanes would be written by one wide product, of the first layer, and read by a batch of
// products, of the second: as one matrix here and as many there. cuBLASLt has strides for that, but its users
// read bits in the shape in which they wrote them, and bits at a wrong place make wrong gradients that look
// right. No card has shown yet that they are found, so there a relu's way back is a kernel of ours.
std::optional<ReluMask> Planner::allocate_relu_mask(std::int64_t points, std::int64_t units) {
  if (lanes() > 1) {
    return std::nullopt;
  }
  ReluMask mask{.row = (units + kMaskAlignment - 1) / kMaskAlignment * kMaskAlignment};
  mask.bits = memory_.allocate(static_cast<std::size_t>(points * mask.row / 8));
  return mask;
}

Tensor Planner::view(const Tensor& tensor, const Shape& shape) {
  CHECK(element_count(shape) == element_count(tensor.shape));
  if (tensor.buffer) {  // which is not reading it
    memory_.use(*tensor.buffer);
  }
  Tensor same = tensor;
  same.shortcut = -1;
  same.has_shortcut_gradient = false;
  if (same.shape != shape) {
    same.relu_mask.reset();  // other rows
  }
  same.shape = shape;
  same.id = next_id_++;
  return same;
}

void Planner::use(const Tensor& tensor) {
  if (tensor.late_sum) {
    tensor.late_sum->is_read = true;
  }
  if (tensor.buffer) {
    memory_.use(*tensor.buffer);
  }
}

void Planner::use_to_the_end(const Tensor& tensor) { used_to_the_end_.push_back(tensor); }

std::int64_t Planner::allocate_counters(std::int64_t count) {
  const std::int64_t first = counters_;
  counters_ += count;
  return first;
}

Tensor Planner::workspace(std::int64_t bytes) {
  return allocate_values((bytes + bytes_of(ElementType::f32) - 1) / bytes_of(ElementType::f32),
                         ElementType::f32);
}

Tensor Planner::share(std::optional<Tensor>& shared, std::int64_t bytes) {
  if (!shared) {
    shared = workspace(bytes);
  }
  memory_.grow(*shared->buffer, static_cast<std::size_t>(bytes));
  return *shared;
}

Tensor Planner::product_workspace(std::int64_t bytes) { return share(product_workspace_, bytes); }

Tensor Planner::side_workspace(std::int64_t bytes) {
  Tensor workspace = share(side_workspace_, bytes);
  use_to_the_end(workspace);
  return workspace;
}

void Planner::advance() {
  memory_.advance();
  product_workspace_.reset();
}

Tensor Planner::gradient(const Tensor& of) const {
  const auto index = static_cast<std::size_t>(of.id);
  CHECK(index < gradients_.size() && gradients_[index].has_value(), "backward goes in the reverse order");
  return *gradients_[index];
}

std::optional<Tensor> Planner::shortcut_gradient(const Tensor& of) const {
  return of.shortcut < 0 ? std::nullopt : gradients_.at(static_cast<std::size_t>(of.shortcut));
}

void Planner::set_gradient(const Tensor& of, Tensor gradient) {
  CHECK(gradient.size() == of.size() && gradient.type == of.type);
  const auto index = static_cast<std::size_t>(of.id);
  if (gradients_.size() <= index) {
    gradients_.resize(index + 1);
  }
  gradients_[index] = std::move(gradient);
}

std::size_t Planner::arrange() {
  advance();
  for (const Tensor& tensor : used_to_the_end_) {
    use(tensor);
  }
  memory_.arrange();
  return memory_.size();
}

}  // namespace regatta::cuda
