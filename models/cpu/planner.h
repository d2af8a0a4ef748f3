// What operations use while they are planned: tensors of all lanes, the parameters' memory, temporary memory,
// and oneDNN calls whose arguments are bound once.
//
// Lanes are the outermost axis of every activation: [L][N, sample…], each lane's part in a layout of oneDNN's
// choice. A lane thus runs the very kernels that it would run alone. (One grouped convolution over [N, L·C,
// H, W] would also do; but oneDNN falls back to its unoptimised reference where C is no multiple of the
// vector's length, and is no faster where it is.) Only the network's input has no lane axis: all lanes share
// it.
#pragma once

#include <cstddef>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/cpu/bfloat16.h"
#include "models/cpu/operation.h"
#include "models/memory_plan.h"
#include "models/parameter_memory.h"

namespace regatta {

using Layout = dnnl::memory::desc;
using ElementType = dnnl::memory::data_type;

class CallSequence;
class Planner;

// Adds the calls that compute a lane's values of a tensor again, in backward.
using Recomputation =
    std::function<void(Planner& planner, CallSequence& calls, int lane, const dnnl::memory& into)>;

// An activation or a gradient of all lanes. A cheap value; copies stand for the same memory. Elements are
// floats, or bf16 where the products are (see Program).
struct Tensor {
  Shape shape;                               // one sample of one lane
  Layout layout;                             // one lane: [N, sample…]
  std::vector<dnnl::memory> lanes;           // point into the arena, once the planner has bound it
  std::optional<MemoryPlan::Buffer> buffer;  // none: the network's input, in the caller's memory
  int id = -1;                               // under which its gradient is kept while backward is planned
  bool needs_gradient = false;
  bool may_overwrite = false;   // nobody will read these values after their one reader
  Recomputation recomputation;  // where that costs less than keeping them for backward; see Planner::again

  float* data(int lane) const {
    return static_cast<float*>(lanes[static_cast<std::size_t>(lane)].get_data_handle());
  }
  std::size_t bytes() const { return layout.get_size(); }  // of one lane, padding included
  std::int64_t floats() const { return static_cast<std::int64_t>(bytes() / sizeof(float)); }

  ElementType type() const { return layout.data_type(); }
  template <class Element>
  Element* elements(int lane) const {
    return static_cast<Element*>(lanes[static_cast<std::size_t>(lane)].get_data_handle());
  }
  std::int64_t element_count() const {  // of one lane, padding included
    return static_cast<std::int64_t>(bytes() / dnnl::memory::data_type_size(type()));
  }
};

// Calls function with a value of the tensor's type of elements.
template <class Function>
void with_element_type(const Tensor& tensor, const Function& function) {
  if (tensor.type() == ElementType::bf16) {
    function(Bfloat16());
  } else {
    CHECK(tensor.type() == ElementType::f32);
    function(float());
  }
}

// [rows, sample…] in row-major order.
Layout plain_layout(std::int64_t rows, const Shape& shape, ElementType type = ElementType::f32);

using Arguments = std::vector<std::pair<int, dnnl::memory>>;

// The oneDNN calls of one operation and direction, and loops of our own between them, lane by lane. Running
// them allocates nothing on our side.
class CallSequence {
 public:
  using Loop = std::function<void(const Step& step)>;

  void add(int lane, const dnnl::primitive& primitive, const Arguments& arguments);
  void add(int lane, Loop loop);
  void run(const Step& step) const;  // all active lanes
  void run_lane(const Step& step, int lane) const;

 private:
  struct Call {
    dnnl::primitive primitive;
    Arguments keep_alive;
    std::vector<dnnl_exec_arg_t> arguments;
    Loop loop;  // in place of the primitive
  };
  void append(int lane, Call call);

  std::vector<std::vector<Call>> lanes_;
};

class Planner {
 public:
  // `precision`: what matrix products and convolutions read.
  Planner(dnnl::engine engine, Phase phase, std::int64_t rows, ParameterMemory parameters,
          ElementType precision);

  Phase phase() const { return phase_; }
  ElementType precision() const { return precision_; }
  std::int64_t rows() const { return rows_; }
  int lanes() const { return parameters_.lanes; }
  const dnnl::engine& engine() const { return engine_; }
  const ParameterMemory& parameters() const { return parameters_; }

  // Memory. Everything allocated lives from the operation being planned to the last one that uses it.
  Tensor network_input(const Shape& shape);
  Tensor allocate(const Shape& shape, const Layout& layout);
  Tensor allocate_bytes(std::size_t bytes_per_lane);
  // The same memory under another shape or layout, as a tensor of its own.
  Tensor view(const Tensor& tensor, const Shape& shape, const Layout& layout);
  // A part of its memory, from element `offset` on; not of the network's input.
  Tensor part(const Tensor& tensor, const Layout& layout, std::int64_t offset);
  void use(const Tensor& tensor);
  // In backward, a tensor of forward: itself, kept until now, or memory that `calls` fills with its values
  // again.
  Tensor again(const Tensor& tensor, CallSequence& calls);
  // Memory for the operation being planned only; lanes run one after another and share it.
  dnnl::memory temporary(const Layout& layout);
  // A temporary under another layout.
  dnnl::memory same_memory(const dnnl::memory& temporary, const Layout& layout);
  // The scratchpad that a primitive asks for.
  std::pair<int, dnnl::memory> scratchpad(const Layout& layout) {
    return {DNNL_ARG_SCRATCHPAD, temporary(layout)};
  }

  // Layouts. Per lane, where `tensor` can be read in `layout`: itself, or a temporary that `calls` fills.
  std::vector<dnnl::memory> read_as(const Tensor& tensor, const Layout& layout, CallSequence& calls);
  void add_reorder(CallSequence& calls, int lane, const dnnl::memory& from, const dnnl::memory& to);
  // The same, where later operations read it as well: itself, or a tensor that `calls` fills.
  Tensor converted(const Tensor& tensor, const Layout& layout, CallSequence& calls);
  // Per lane, the parameter that stands in the flat buffer as `stored`, in `layout`.
  std::vector<dnnl::memory> weights_as(const std::string& name, const Layout& stored, const Layout& layout,
                                       CallSequence& calls);
  // A parameter, its gradient, in row-major order.
  dnnl::memory weight(const std::string& name, const Layout& layout, int lane) const;
  dnnl::memory gradient_of_weight(const std::string& name, const Layout& layout, int lane) const;
  // From `offset` floats on.
  dnnl::memory weight_part(const std::string& name, const Layout& layout, std::int64_t offset,
                           int lane) const;
  dnnl::memory gradient_part(const std::string& name, const Layout& layout, std::int64_t offset,
                             int lane) const;

  // Gradients of tensors, while backward is planned.
  Tensor gradient(const Tensor& of) const;
  // The same, in the layout of `of` itself.
  Tensor gradient_like(const Tensor& of, CallSequence& calls);
  void set_gradient(const Tensor& of, Tensor gradient);

  // The next operation.
  void advance() { memory_.advance(); }
  // After the last operation: bytes of the arena; then its address.
  std::size_t arrange();
  void bind(std::byte* arena);
  void bind_network_input(const float* inputs);

 private:
  struct Binding {
    dnnl::memory memory;
    MemoryPlan::Buffer buffer;
    std::size_t offset;
  };
  dnnl::memory unbound(const Layout& layout) const;

  dnnl::engine engine_;
  Phase phase_;
  ElementType precision_;
  std::int64_t rows_;
  ParameterMemory parameters_;
  MemoryPlan memory_;
  std::vector<Binding> bindings_;
  std::vector<dnnl::memory> inputs_;  // every view of the network's input
  std::vector<std::optional<Tensor>> gradients_;
  int next_id_ = 0;
};

// Scratchpads come from the arena instead of oneDNN's own allocations.
dnnl::primitive_attr arena_scratchpad();

}  // namespace regatta
