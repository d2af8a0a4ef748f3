// How our own loops see an activation: the layouts that oneDNN gives to features and images, all alike.
#pragma once

#include <cstdint>

#include "models/cpu/planner.h"

namespace regatta {

// Channels stand in blocks: element (row, channel, pixel) is at
//   ((row · blocks + channel / block) · pixels + pixel) · block + channel % block.
// Features have one pixel and one block of all channels; row-major images have blocks of one channel; nChw16c
// has blocks of 16, where the last block may be padded with channels that must stay zero.
struct ChannelLayout {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
  std::int64_t blocks = 0;
  std::int64_t pixels = 0;
  std::int64_t block = 0;

  std::int64_t row_floats() const { return blocks * pixels * block; }
  std::int64_t padded_channels() const { return blocks * block; }
};

// Bugs: a layout of another kind.
ChannelLayout channel_layout(const Layout& layout);

}  // namespace regatta
