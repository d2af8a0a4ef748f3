// Bookkeeping of tensors and their memory while a program is planned.
#include "models/cpu/planner.h"

#include <algorithm>

namespace regatta {
namespace {

// Elements from the first to the last. (oneDNN's own size counts what a stride leaves behind it.)
std::int64_t reach(const Layout& layout) {
  const auto& data = layout.data;
  std::int64_t elements = 1;
  for (int axis = 0; axis < data.ndims; ++axis) {
    elements += (data.dims[axis] - 1) * data.format_desc.blocking.strides[axis];
  }
  return elements;
}

}  // namespace

Layout plain_layout(std::int64_t rows, const Shape& shape, ElementType type) {
  dnnl::memory::dims sizes = {rows};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  dnnl::memory::dims strides(sizes.size());
  std::int64_t stride = 1;
  for (std::size_t axis = sizes.size(); axis-- > 0; stride *= sizes[axis]) {
    strides[axis] = stride;
  }
  return {sizes, type, strides};
}

dnnl::primitive_attr arena_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

void CallSequence::add(int lane, const dnnl::primitive& primitive, const Arguments& arguments) {
  Call call{.primitive = primitive, .keep_alive = arguments, .arguments = {}, .loop = {}};
  for (const auto& [name, memory] : arguments) {
    call.arguments.push_back({name, memory.get()});
  }
  append(lane, std::move(call));
}

void CallSequence::add(int lane, Loop loop) {
  append(lane, {.primitive = {}, .keep_alive = {}, .arguments = {}, .loop = std::move(loop)});
}

void CallSequence::append(int lane, Call call) {
  const auto index = static_cast<std::size_t>(lane);
  lanes_.resize(std::max(lanes_.size(), index + 1));
  lanes_[index].push_back(std::move(call));
}

void CallSequence::run(const Step& step) const {
  step.for_active_lanes([&](int lane) { run_lane(step, lane); });
}

void CallSequence::run_lane(const Step& step, int lane) const {
  if (static_cast<std::size_t>(lane) >= lanes_.size()) {
    return;  // nothing was added
  }
  for (const Call& call : lanes_[static_cast<std::size_t>(lane)]) {
    if (call.loop) {
      call.loop(step);
      continue;
    }
    dnnl::error::wrap_c_api(
        dnnl_primitive_execute(call.primitive.get(), step.stream.get(),
                               static_cast<int>(call.arguments.size()), call.arguments.data()),
        "could not execute a primitive");
  }
}

Planner::Planner(dnnl::engine engine, Phase phase, std::int64_t rows, ParameterMemory parameters,
                 ElementType precision)
    : engine_(std::move(engine)),
      phase_(phase),
      precision_(precision),
      rows_(rows),
      parameters_(parameters) {}

dnnl::memory Planner::unbound(const Layout& layout) const { return {layout, engine_, nullptr}; }

Tensor Planner::network_input(const Shape& shape) {
  inputs_.push_back(unbound(plain_layout(rows_, shape)));
  return {.shape = shape,
          .layout = inputs_.back().get_desc(),
          .lanes = std::vector<dnnl::memory>(static_cast<std::size_t>(lanes()), inputs_.back()),
          .id = next_id_++};
}

Tensor Planner::allocate(const Shape& shape, const Layout& layout) {
  Tensor tensor{.shape = shape, .layout = layout, .id = next_id_++, .may_overwrite = true};
  const std::size_t stride = MemoryPlan::aligned(layout.get_size());
  tensor.buffer = memory_.allocate(stride * static_cast<std::size_t>(lanes()));
  for (int lane = 0; lane < lanes(); ++lane) {
    tensor.lanes.push_back(unbound(layout));
    bindings_.push_back({tensor.lanes.back(), *tensor.buffer, stride * static_cast<std::size_t>(lane)});
  }
  return tensor;
}

Tensor Planner::allocate_bytes(std::size_t bytes_per_lane) {
  const Layout layout({static_cast<std::int64_t>(bytes_per_lane)}, dnnl::memory::data_type::u8,
                      dnnl::memory::format_tag::a);
  return allocate({}, layout);
}

Tensor Planner::view(const Tensor& tensor, const Shape& shape, const Layout& layout) {
  CHECK(layout.get_size() == tensor.bytes());
  Tensor result = tensor;
  result.shape = shape;
  result.layout = layout;
  result.id = next_id_++;
  result.recomputation = nullptr;  // other values may be written there
  if (!tensor.buffer) {
    inputs_.push_back(unbound(layout));
    std::fill(result.lanes.begin(), result.lanes.end(), inputs_.back());
    return result;
  }
  use(tensor);
  for (dnnl::memory& lane : result.lanes) {
    const auto original = std::find_if(bindings_.begin(), bindings_.end(), [&](const Binding& binding) {
      return binding.memory.get() == lane.get();
    });
    CHECK(original != bindings_.end());
    lane = unbound(layout);
    bindings_.push_back({lane, original->buffer, original->offset});
  }
  return result;
}

Tensor Planner::part(const Tensor& tensor, const Layout& layout, std::int64_t offset) {
  CHECK(tensor.buffer.has_value());
  CHECK(layout.data_type() == tensor.type() && offset + reach(layout) <= tensor.element_count());
  Tensor result = view(tensor, tensor.shape, tensor.layout);
  result.layout = layout;
  for (dnnl::memory& lane : result.lanes) {
    const auto whole = std::find_if(bindings_.rbegin(), bindings_.rend(), [&](const Binding& binding) {
      return binding.memory.get() == lane.get();
    });
    lane = whole->memory = unbound(layout);
    whole->offset += static_cast<std::size_t>(offset) * dnnl::memory::data_type_size(layout.data_type());
  }
  return result;
}

void Planner::use(const Tensor& tensor) {
  if (tensor.buffer) {
    memory_.use(*tensor.buffer);
  }
}

Tensor Planner::again(const Tensor& tensor, CallSequence& calls) {
  if (!tensor.recomputation) {
    use(tensor);
    return tensor;
  }
  Tensor result = allocate(tensor.shape, tensor.layout);
  for (int lane = 0; lane < lanes(); ++lane) {
    tensor.recomputation(*this, calls, lane, result.lanes[static_cast<std::size_t>(lane)]);
  }
  return result;
}

dnnl::memory Planner::temporary(const Layout& layout) {
  dnnl::memory memory = unbound(layout);
  bindings_.push_back({memory, memory_.allocate(layout.get_size()), 0});
  return memory;
}

dnnl::memory Planner::same_memory(const dnnl::memory& temporary, const Layout& layout) {
  const auto original = std::find_if(bindings_.begin(), bindings_.end(), [&](const Binding& binding) {
    return binding.memory.get() == temporary.get();
  });
  CHECK(original != bindings_.end() && layout.get_size() <= temporary.get_desc().get_size());
  dnnl::memory memory = unbound(layout);
  bindings_.push_back({memory, original->buffer, original->offset});
  return memory;
}

void Planner::add_reorder(CallSequence& calls, int lane, const dnnl::memory& from, const dnnl::memory& to) {
  const dnnl::reorder::primitive_desc description(engine_, from.get_desc(), engine_, to.get_desc(),
                                                  arena_scratchpad());
  calls.add(lane, dnnl::reorder(description),
            {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, scratchpad(description.scratchpad_desc())});
}

std::vector<dnnl::memory> Planner::read_as(const Tensor& tensor, const Layout& layout, CallSequence& calls) {
  use(tensor);
  if (tensor.layout == layout) {
    return tensor.lanes;
  }
  const dnnl::memory copy = temporary(layout);
  for (int lane = 0; lane < lanes(); ++lane) {
    add_reorder(calls, lane, tensor.lanes[static_cast<std::size_t>(lane)], copy);
  }
  return std::vector<dnnl::memory>(static_cast<std::size_t>(lanes()), copy);
}

Tensor Planner::converted(const Tensor& tensor, const Layout& layout, CallSequence& calls) {
  use(tensor);
  if (tensor.layout == layout) {
    return tensor;
  }
  Tensor result = allocate(tensor.shape, layout);
  for (int lane = 0; lane < lanes(); ++lane) {
    const auto index = static_cast<std::size_t>(lane);
    add_reorder(calls, lane, tensor.lanes[index], result.lanes[index]);
  }
  return result;
}

std::vector<dnnl::memory> Planner::weights_as(const std::string& name, const Layout& stored,
                                              const Layout& layout, CallSequence& calls) {
  std::vector<dnnl::memory> weights;
  const dnnl::memory copy = layout == stored ? dnnl::memory() : temporary(layout);
  for (int lane = 0; lane < lanes(); ++lane) {
    const dnnl::memory flat = weight(name, stored, lane);
    if (copy) {
      add_reorder(calls, lane, flat, copy);
    }
    weights.push_back(copy ? copy : flat);
  }
  return weights;
}

dnnl::memory Planner::weight(const std::string& name, const Layout& layout, int lane) const {
  return {layout, engine_, parameters_.weight(name, lane)};
}

dnnl::memory Planner::gradient_of_weight(const std::string& name, const Layout& layout, int lane) const {
  return {layout, engine_, parameters_.gradient(name, lane)};
}

dnnl::memory Planner::weight_part(const std::string& name, const Layout& layout, std::int64_t offset,
                                  int lane) const {
  return {layout, engine_, parameters_.weight(name, lane) + offset};
}

dnnl::memory Planner::gradient_part(const std::string& name, const Layout& layout, std::int64_t offset,
                                    int lane) const {
  return {layout, engine_, parameters_.gradient(name, lane) + offset};
}

Tensor Planner::gradient(const Tensor& of) const {
  const auto& gradient = gradients_.at(static_cast<std::size_t>(of.id));
  CHECK(gradient.has_value(), "backward is planned in the reverse order of forward");
  return *gradient;
}

Tensor Planner::gradient_like(const Tensor& of, CallSequence& calls) {
  return converted(gradient(of), of.layout, calls);
}

void Planner::set_gradient(const Tensor& of, Tensor gradient) {
  gradients_.resize(static_cast<std::size_t>(next_id_));
  gradients_[static_cast<std::size_t>(of.id)] = std::move(gradient);
}

std::size_t Planner::arrange() {
  memory_.arrange();
  return memory_.size();
}

void Planner::bind(std::byte* arena) {
  for (Binding& binding : bindings_) {
    binding.memory.set_data_handle(arena + memory_.offset(binding.buffer) + binding.offset);
  }
}

void Planner::bind_network_input(const float* inputs) {
  for (dnnl::memory& memory : inputs_) {
    memory.set_data_handle(const_cast<float*>(inputs));  // oneDNN has no handle for memory that is only read
  }
}

}  // namespace regatta
