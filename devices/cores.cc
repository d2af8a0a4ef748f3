// hwloc stays within this file.
#include "devices/cores.h"

#include <fmt/format.h>
#include <hwloc.h>

#include <optional>
#include <type_traits>

#include "base/file.h"

namespace regatta {
namespace {

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Topology = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, DestroyTopology>;

// `machine`: a made-up one; without, this host. nullptr: hwloc cannot make sense of it.
Topology load(const std::string* machine) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) {
    return nullptr;
  }
  Topology topology(raw);
  if (machine != nullptr && hwloc_topology_set_synthetic(raw, machine->c_str()) != 0) {
    return nullptr;
  }
  return hwloc_topology_load(raw) == 0 ? std::move(topology) : nullptr;
}

CpuSet cpus_of(hwloc_const_bitmap_t bits) {
  CpuSet cpus;
  for (int cpu = hwloc_bitmap_first(bits); cpu >= 0; cpu = hwloc_bitmap_next(bits, cpu)) {
    cpus.push_back(cpu);
  }
  return cpus;
}

// The object of this kind around `core`; 0 where there is none, as on machines without NUMA or shared caches.
int number_around(hwloc_obj_t core, hwloc_obj_type_t kind) {
  for (hwloc_obj_t around = core; around != nullptr; around = around->parent) {
    if (around->type == kind) {
      return static_cast<int>(around->logical_index);
    }
  }
  return 0;
}

// NUMA nodes are no parents in hwloc: a core belongs to the first one that it is in the set of.
int node_of(hwloc_topology_t topology, hwloc_obj_t core) {
  hwloc_obj_t node = nullptr;
  while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr) {
    if (hwloc_bitmap_intersects(node->cpuset, core->cpuset) != 0) {
      return static_cast<int>(node->logical_index);
    }
  }
  return 0;
}

std::vector<Core> cores_of(hwloc_topology_t topology, const CpuSet* allowed) {
  // Virtual machines may tell of CPUs only.
  const bool has_cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0;
  const hwloc_obj_type_t kind = has_cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  std::vector<Core> cores;
  hwloc_obj_t object = nullptr;
  while ((object = hwloc_get_next_obj_by_type(topology, kind, object)) != nullptr) {
    const CpuSet all = cpus_of(object->cpuset);
    Core core{.cpus = allowed != nullptr ? intersected(all, *allowed) : all,
              .package = number_around(object, HWLOC_OBJ_PACKAGE),
              .node = node_of(topology, object),
              .cache = number_around(object, HWLOC_OBJ_L3CACHE)};
    if (!core.cpus.empty()) {
      cores.push_back(std::move(core));
    }
  }
  return cores;
}

}  // namespace

std::vector<Core> find_cores(const CpuSet& allowed) {
  const Topology topology = load(nullptr);
  // HWLOC_SYNTHETIC and HWLOC_XMLFILE show another machine, whose CPUs are not here.
  const bool is_here = topology != nullptr && hwloc_topology_is_thissystem(topology.get()) != 0;
  return is_here ? cores_of(topology.get(), &allowed) : std::vector<Core>();
}

Result<std::vector<Core>> describe_cores(const std::string& machine) {
  const Topology topology = load(&machine);
  if (topology == nullptr) {
    return user_mistake(fmt::format("hwloc knows no machine '{}'", machine));
  }
  return cores_of(topology.get(), nullptr);
}

CpuSet cpus_near(const std::string& bus, const std::filesystem::path& devices) {
  const auto list = read_file(devices / bus / "local_cpulist");
  auto cpus =
      list.ok() ? parse_cpus(std::string_view(*list).substr(0, list->find('\n'))) : Result<CpuSet>(CpuSet());
  return cpus.ok() ? std::move(cpus).value() : CpuSet();
}

}  // namespace regatta
