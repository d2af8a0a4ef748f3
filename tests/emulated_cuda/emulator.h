// What a test sets and asks of the emulated CUDA device; everything else goes through the CUDA runtime's own
// functions.
//
// The device runs nothing by itself: work in streams waits until the host synchronises, and then only what
// that synchronisation needs is run. So a host that reads too early, or streams that do not wait for each
// other, give wrong results here every time. Device memory cannot be touched by the host, fresh memory holds
// NaN, freed memory is never given out again, and what is written beyond an allocation's end is found when it
// is freed and at each synchronisation. Errors that a real device would answer with a hang or a crash abort
// with a sentence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace regatta {

// In which order things run that no barrier, stream or graph edge orders: threads of a block, blocks of a
// kernel, nodes of a graph, streams. Correct programs give the same results (atomic sums of floats excepted:
// to rounding).
enum class EmulatedOrder { kForward, kReversed, kRandom };
void set_emulated_order(EmulatedOrder order, std::uint64_t seed = 0);

// Of the device memory that is still to be given out; 1 GiB unless told otherwise.
void set_emulated_memory_limit(std::size_t bytes);
std::size_t emulated_memory_used();
std::size_t emulated_memory_peak();  // since the program began

// What the graph consists of that was instantiated last.
struct GraphContents {
  std::vector<std::string> nodes;  // kernels by their names; "copy", "fill", "event", "host", "graph"
  std::vector<int> priorities;     // of each; negative ones come first
  int longest_chain = 0;           // of nodes that wait for each other
};
GraphContents last_graph();

inline constexpr int kEmulatedMultiprocessors = 4;

}  // namespace regatta
