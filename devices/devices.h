// The cards (GPUs) of this host, as CUDA shows them to this process: CUDA_VISIBLE_DEVICES hides and orders
// them. No CUDA type stands here; a build without CUDA has the same function, which finds none and says why.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace regatta {

struct Card {
  int index = 0;     // as CUDA counts in this process
  std::string name;  // "NVIDIA H200"
  std::string bus;   // "0000:1b:00.0": the same card for every process and every library
  int capability_major = 0;
  int capability_minor = 0;
  std::uint64_t memory_bytes = 0;
};

struct LibraryVersion {
  std::string library;
  std::string version;
};

struct FoundDevices {
  std::vector<Card> cards;
  std::string why_none;  // a sentence without an end, where there are no cards: "this build has no CUDA"
  std::vector<LibraryVersion> versions;
};

// Makes no CUDA context: cheap, and the cards' memory stays untouched.
FoundDevices find_devices();

}  // namespace regatta
