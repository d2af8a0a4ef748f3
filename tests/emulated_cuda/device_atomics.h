// Atomic functions of CUDA C++. Threads change hands only at barriers, so plain operations are atomic; what
// matters is that only the types that a device has exist here, too.
#pragma once

#include <algorithm>
#include <concepts>

namespace regatta {

template <class Value>
concept AtomicInteger =
    std::same_as<Value, int> || std::same_as<Value, unsigned> || std::same_as<Value, unsigned long long>;
template <class Value>
concept AtomicNumber = AtomicInteger<Value> || std::same_as<Value, float> || std::same_as<Value, double>;

// A function's second parameter converts to the type of the memory, as it does with CUDA's overloads.
template <class Value>
using AsGiven = std::type_identity_t<Value>;

template <class Value, class Change>
Value emulated_atomic(Value* address, const Change& change) {
  const Value before = *address;
  *address = change(before);
  return before;
}

}  // namespace regatta

template <regatta::AtomicNumber Value>
Value atomicAdd(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value old) { return old + value; });
}
template <class Value>
requires std::same_as<Value, int> || std::same_as<Value, unsigned> Value
atomicSub(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value old) { return old - value; });
}
template <class Value>
requires regatta::AtomicInteger<Value> || std::same_as<Value, long long> Value
atomicMax(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value old) { return std::max(old, value); });
}
template <class Value>
requires regatta::AtomicInteger<Value> || std::same_as<Value, long long> Value
atomicMin(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value old) { return std::min(old, value); });
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return regatta::emulated_atomic(address, [limit](unsigned old) { return old >= limit ? 0 : old + 1; });
}
template <regatta::AtomicInteger Value>
Value atomicAnd(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value old) { return old & value; });
}
template <regatta::AtomicInteger Value>
Value atomicOr(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value old) { return old | value; });
}
template <regatta::AtomicInteger Value>
Value atomicXor(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value old) { return old ^ value; });
}
template <class Value>
requires regatta::AtomicInteger<Value> || std::same_as<Value, float> Value
atomicExch(Value* address, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [value](Value) { return value; });
}
template <class Value>
requires regatta::AtomicInteger<Value> || std::same_as<Value, unsigned short> Value
atomicCAS(Value* address, regatta::AsGiven<Value> expected, regatta::AsGiven<Value> value) {
  return regatta::emulated_atomic(address, [&](Value old) { return old == expected ? value : old; });
}

// Writes are seen at once; nothing to wait for.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
