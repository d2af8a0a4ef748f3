// How many crews have room in a Slurm allocation, and how each lies on its nodes.
#pragma once

#include "base/result.h"
#include "cluster/resources.h"
#include "cluster/slurm.h"
#include "experiment/node.h"

namespace regatta {

// The allocation whose steps the crews are to be; nullopt: `resources.launcher` or the surroundings say
// otherwise. Refuses `launcher: slurm` outside an allocation.
Result<std::optional<SlurmAllocation>> allocation_for(const Resources& resources, const Node& node,
                                                      const std::optional<SlurmAllocation>& found);

// Whether the crews are to be steps of a Slurm job that this process is not in.
bool awaits_allocation(const Resources& resources);

// Fills in `resources.slurm`, and crews and threads where the file does not say: as many crews as have room,
// as many threads as these leave. Crews stay whole on a node where they can. More crews than have room come
// down to those that have. `on_cards`: each rank computes on a card of its step.
struct RoomRequest {
  SlurmAllocation allocation;
  bool on_cards = false;
};
Status settle_room(Resources& resources, const Node& node, const RoomRequest& request);

}  // namespace regatta
