// Barriers and warp operations of CUDA C++. The place of a call counts: threads that meet must be at the same
// one.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

namespace regatta {

enum class BarrierVote { kCount, kAnd, kOr };  // what __syncthreads_… returns; the plain one counts nothing

int emulated_barrier(BarrierVote kind, bool predicate, const std::source_location& where);
std::uint64_t emulated_warp_shuffle(unsigned mask, int source, std::uint64_t value,
                                    const std::source_location& where);
unsigned emulated_warp_ballot(unsigned mask, bool predicate, const std::source_location& where);
void emulated_warp_sync(unsigned mask, const std::source_location& where);
unsigned emulated_active_lanes();
int emulated_lane();

template <class Value>
Value emulated_shuffle(unsigned mask, int source, Value value, const std::source_location& where) {
  static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = emulated_warp_shuffle(mask, source, bits, where);
  std::memcpy(static_cast<void*>(&value), &bits, sizeof value);
  return value;
}

}  // namespace regatta

#define REGATTA_WHERE std::source_location where = std::source_location::current()

inline void __syncthreads(REGATTA_WHERE) {
  regatta::emulated_barrier(regatta::BarrierVote::kCount, false, where);
}
inline int __syncthreads_count(int predicate, REGATTA_WHERE) {
  return regatta::emulated_barrier(regatta::BarrierVote::kCount, predicate != 0, where);
}
inline int __syncthreads_and(int predicate, REGATTA_WHERE) {
  return regatta::emulated_barrier(regatta::BarrierVote::kAnd, predicate != 0, where);
}
inline int __syncthreads_or(int predicate, REGATTA_WHERE) {
  return regatta::emulated_barrier(regatta::BarrierVote::kOr, predicate != 0, where);
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFF, REGATTA_WHERE) {
  regatta::emulated_warp_sync(mask, where);
}
inline unsigned __activemask() { return regatta::emulated_active_lanes(); }

inline unsigned __ballot_sync(unsigned mask, int predicate, REGATTA_WHERE) {
  return regatta::emulated_warp_ballot(mask, predicate != 0, where);
}
inline int __any_sync(unsigned mask, int predicate, REGATTA_WHERE) {
  return regatta::emulated_warp_ballot(mask, predicate != 0, where) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, REGATTA_WHERE) {
  return regatta::emulated_warp_ballot(mask, predicate == 0, where) == 0 ? 1 : 0;
}

// `width` splits the warp into segments; a source outside of the caller's segment is the caller itself.
template <class Value>
Value __shfl_sync(unsigned mask, Value value, int source, int width = 32, REGATTA_WHERE) {
  const int segment = regatta::emulated_lane() & ~(width - 1);
  return regatta::emulated_shuffle(mask, segment | (source & (width - 1)), value, where);
}

template <class Value>
Value __shfl_up_sync(unsigned mask, Value value, unsigned delta, int width = 32, REGATTA_WHERE) {
  const int lane = regatta::emulated_lane();
  const int source = lane - static_cast<int>(delta);
  return regatta::emulated_shuffle(mask, source < (lane & ~(width - 1)) ? lane : source, value, where);
}

template <class Value>
Value __shfl_down_sync(unsigned mask, Value value, unsigned delta, int width = 32, REGATTA_WHERE) {
  const int lane = regatta::emulated_lane();
  const int source = lane + static_cast<int>(delta);
  return regatta::emulated_shuffle(mask, source > (lane | (width - 1)) ? lane : source, value, where);
}

template <class Value>
Value __shfl_xor_sync(unsigned mask, Value value, int lane_mask, int width = 32, REGATTA_WHERE) {
  const int lane = regatta::emulated_lane();
  const int source = lane ^ lane_mask;
  return regatta::emulated_shuffle(mask, source > (lane | (width - 1)) ? lane : source, value, where);
}

#undef REGATTA_WHERE
