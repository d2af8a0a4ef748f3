// Owned descriptors of cuDNN's graph API, and the choice of an engine by rules.
#include "models/cuda/cudnn_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace regatta {
namespace {

// Ready for cuDNN to write into: descriptors are read by copying them into ones of the caller.
std::vector<CudnnDescriptor> empty_descriptors(cudnnBackendDescriptorType_t type, std::int64_t count) {
  std::vector<CudnnDescriptor> made;
  for (std::int64_t i = 0; i < count; ++i) {
    made.emplace_back(type);
  }
  return made;
}

std::vector<cudnnBackendDescriptor_t> raw(std::span<const CudnnDescriptor> descriptors) {
  std::vector<cudnnBackendDescriptor_t> pointers;
  for (const CudnnDescriptor& descriptor : descriptors) {
    pointers.push_back(descriptor.raw());
  }
  return pointers;
}

// What an engine says of itself.
struct EngineFacts {
  std::int64_t index = -1;
  std::vector<cudnnBackendNumericalNote_t> numerics;
  std::vector<cudnnBackendBehaviorNote_t> behaviours;

  bool has(cudnnBackendNumericalNote_t note) const {
    return std::find(numerics.begin(), numerics.end(), note) != numerics.end();
  }
  bool compiled_at_run_time() const {
    return std::find(behaviours.begin(), behaviours.end(), CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION) !=
           behaviours.end();
  }
};

EngineFacts facts_of(const CudnnDescriptor& configuration) {
  const CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t pointer = engine.raw();
  configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &pointer);
  EngineFacts facts;
  engine.get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &facts.index);
  facts.numerics.resize(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  facts.numerics.resize(
      static_cast<std::size_t>(engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                          CUDNN_NUMERICAL_NOTE_TYPE_COUNT, facts.numerics.data())));
  facts.behaviours.resize(CUDNN_BEHAVIOR_NOTE_TYPE_COUNT);
  facts.behaviours.resize(
      static_cast<std::size_t>(engine.get(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE,
                                          CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, facts.behaviours.data())));
  return facts;
}

std::string describe(const EngineFacts& facts, std::int64_t workspace_bytes) {
  constexpr std::array<const char*, CUDNN_NUMERICAL_NOTE_TYPE_COUNT> kNotes = {
      "tensor cores", "inputs rounded down", "sums rounded down", "fft",      "not deterministic", "winograd",
      "winograd 4x4", "winograd 6x6",        "winograd 13x13",    "keeps NaN"};
  std::string text = fmt::format("engine {}", facts.index);
  for (const cudnnBackendNumericalNote_t note : facts.numerics) {
    const auto number = static_cast<std::size_t>(note);  // newer libraries may have more
    text += number < kNotes.size() ? fmt::format(", {}", kNotes[number]) : fmt::format(", note {}", number);
  }
  if (facts.compiled_at_run_time()) {
    text += ", compiled here";
  }
  if (workspace_bytes > 0) {
    text += fmt::format(", workspace {:.1f} MiB", static_cast<double>(workspace_bytes) / (1 << 20));
  }
  return text;
}

bool allowed(const EngineFacts& facts, const EngineRules& rules) {
  if (facts.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) ||
      facts.has(CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)) {
    return false;
  }
  // Transforms of large tiles lose more digits than strict fp32 promises.
  return rules.tensor_cores ||
         !(facts.has(CUDNN_NUMERICAL_NOTE_TENSOR_CORE) ||
           facts.has(CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS) || facts.has(CUDNN_NUMERICAL_NOTE_FFT) ||
           facts.has(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6) ||
           facts.has(CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13));
}

// The graph's configurations, best first.
std::vector<CudnnDescriptor> proposals(const CudnnDevice& device, const CudnnDescriptor& graph,
                                       cudnnBackendHeurMode_t mode) {
  CudnnDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (device.handle == nullptr) {
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device.description);
  }
  if (!heuristic.finalize().ok()) {
    return {};  // nothing that this mode could say about the graph
  }
  const std::int64_t count =
      heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
  std::vector<CudnnDescriptor> found = empty_descriptors(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count);
  std::vector<cudnnBackendDescriptor_t> pointers = raw(found);
  const std::int64_t written =
      heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, pointers.data());
  found.resize(static_cast<std::size_t>(std::min(count, written)));
  return found;
}

}  // namespace

std::string cudnn_message(cudnnStatus_t status) {
  std::array<char, 512> last = {};
  cudnnGetLastErrorString(last.data(), last.size());
  return fmt::format("{}{}{}", cudnnGetErrorString(status), last[0] == '\0' ? "" : ": ", last.data());
}

CudnnDescriptor::CudnnDescriptor(cudnnBackendDescriptorType_t type) {
  status_ = cudnnBackendCreateDescriptor(type, &raw_);
  if (status_ != CUDNN_STATUS_SUCCESS) {
    raw_ = nullptr;
    message_ = cudnn_message(status_);
  }
}

CudnnDescriptor::CudnnDescriptor(CudnnDescriptor&& other) noexcept
    : raw_(std::exchange(other.raw_, nullptr)), status_(other.status_), message_(std::move(other.message_)) {}

CudnnDescriptor& CudnnDescriptor::operator=(CudnnDescriptor&& other) noexcept {
  std::swap(raw_, other.raw_);
  std::swap(status_, other.status_);
  std::swap(message_, other.message_);
  return *this;
}

CudnnDescriptor::~CudnnDescriptor() {
  if (raw_ != nullptr) {
    cudnnBackendDestroyDescriptor(raw_);
  }
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                      std::int64_t count, const void* values) {
  if (status_ == CUDNN_STATUS_SUCCESS) {
    status_ = cudnnBackendSetAttribute(raw_, name, type, count, values);
    if (status_ != CUDNN_STATUS_SUCCESS) {
      message_ = fmt::format("{} (attribute {})", cudnn_message(status_), static_cast<int>(name));
    }
  }
  return *this;
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name, std::int64_t value) {
  return set(name, CUDNN_TYPE_INT64, 1, &value);
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name,
                                      std::span<const std::int64_t> values) {
  return set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name, bool value) {
  return set(name, CUDNN_TYPE_BOOLEAN, 1, &value);
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name, float value) {
  return set(name, CUDNN_TYPE_FLOAT, 1, &value);
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
  return set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value) {
  if (status_ == CUDNN_STATUS_SUCCESS && value.status_ != CUDNN_STATUS_SUCCESS) {
    status_ = value.status_;
    message_ = value.message_;
  }
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.raw_);
}

CudnnDescriptor& CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnHandle_t handle) {
  return set(name, CUDNN_TYPE_HANDLE, 1, &handle);
}

Status CudnnDescriptor::finalize() {
  if (status_ == CUDNN_STATUS_SUCCESS) {
    status_ = cudnnBackendFinalize(raw_);
    if (status_ != CUDNN_STATUS_SUCCESS) {
      message_ = cudnn_message(status_);
    }
  }
  return status_ == CUDNN_STATUS_SUCCESS ? Status() : failure(message_);
}

std::int64_t CudnnDescriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                  std::int64_t room, void* values) const {
  std::int64_t count = 0;
  const bool read = cudnnBackendGetAttribute(raw_, name, type, room, &count, values) == CUDNN_STATUS_SUCCESS;
  return read ? count : 0;
}

namespace {

// Engines compiled at run time stop where they would load their kernel into the device; without a device that
// is as far as an audit can come.
bool stopped_for_want_of_a_device(const CudnnDevice& device, const EngineFacts& facts,
                                  const CudnnDescriptor& plan) {
  return device.handle == nullptr && facts.compiled_at_run_time() &&
         plan.status() == CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER;
}

// The plan of one configuration, if it can be made within the limits; else `refusal` says why not.
std::optional<CudnnPlan> try_plan(const CudnnDevice& device, CudnnDescriptor configuration,
                                  const EngineRules& rules, std::string& refusal) {
  const EngineFacts facts = facts_of(configuration);
  if (!allowed(facts, rules)) {
    refusal = fmt::format("{} breaks the rules of this precision", describe(facts, 0));
    return {};
  }
  CudnnPlan made{.plan = CudnnDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)};
  configuration.get(CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &made.workspace_bytes);
  const auto needs_too_much = [&] {
    if (made.workspace_bytes <= rules.workspace_limit_bytes) {
      return false;
    }
    refusal = fmt::format("{} needs more than the limit of {} bytes", describe(facts, made.workspace_bytes),
                          rules.workspace_limit_bytes);
    return true;
  };
  if (needs_too_much()) {  // compiling the engine would take seconds
    return {};
  }
  made.plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (device.handle != nullptr) {
    made.plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, device.handle);
  } else {
    made.plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device.description);
  }
  const Status finalized = made.plan.finalize();
  if (finalized.ok()) {
    made.plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &made.workspace_bytes);
  } else if (!stopped_for_want_of_a_device(device, facts, made.plan)) {
    refusal = finalized.error().message;
    return {};
  }
  if (needs_too_much()) {
    return {};
  }
  made.configuration = std::move(configuration);
  made.engine = describe(facts, made.workspace_bytes);
  return made;
}

}  // namespace

Result<CudnnPlan> choose_plan(const CudnnDevice& device, std::span<const CudnnDescriptor> operations,
                              const EngineRules& rules) {
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  const std::vector<cudnnBackendDescriptor_t> pointers = raw(operations);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            static_cast<std::int64_t>(pointers.size()), pointers.data());
  if (device.handle != nullptr) {
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, device.handle);
  }
  RETURN_IF_ERROR(graph.finalize());
  std::string refusal = "cuDNN proposes no engine";
  for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (CudnnDescriptor& configuration : proposals(device, graph, mode)) {
      if (auto made = try_plan(device, std::move(configuration), rules, refusal)) {
        return std::move(*made);
      }
    }
  }
  return failure(refusal);
}

}  // namespace regatta
