// See device_waits.h: hands the waiting to the block that runs.
#include "emulated_cuda/device_waits.h"

#include "emulated_cuda/block_runner.h"

namespace regatta {

int emulated_barrier(BarrierVote kind, bool predicate, const std::source_location& where) {
  return block_runner().wait_at_barrier(kind, predicate, where);
}

std::uint64_t emulated_warp_shuffle(unsigned mask, int source, std::uint64_t value,
                                    const std::source_location& where) {
  return block_runner().wait_in_warp(
      {.kind = WarpKind::kShuffle, .mask = mask, .source = source, .value = value, .where = where});
}

unsigned emulated_warp_ballot(unsigned mask, bool predicate, const std::source_location& where) {
  return static_cast<unsigned>(block_runner().wait_in_warp(
      {.kind = WarpKind::kBallot, .mask = mask, .value = predicate ? 1U : 0U, .where = where}));
}

void emulated_warp_sync(unsigned mask, const std::source_location& where) {
  block_runner().wait_in_warp({.kind = WarpKind::kSync, .mask = mask, .where = where});
}

unsigned emulated_active_lanes() { return block_runner().lanes_alive(); }
int emulated_lane() { return block_runner().lane(); }

}  // namespace regatta
