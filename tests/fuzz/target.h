// What the file of each fuzz target defines. Every target is a program of its own, so that all may use the
// name that libFuzzer calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Hands the bytes to one parser and CHECKs what must hold of its answer. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace regatta::fuzz {

// Inputs to start from: good ones of every kind, and bad ones that blind changes would hardly find.
std::vector<std::string> seeds();

}  // namespace regatta::fuzz
