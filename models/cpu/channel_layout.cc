// Reads oneDNN's description of a blocked layout.
#include "models/cpu/channel_layout.h"

namespace regatta {

ChannelLayout channel_layout(const Layout& layout) {
  const auto& data = layout.data;
  CHECK(data.format_kind == dnnl_blocked && data.offset0 == 0);
  const auto& blocking = data.format_desc.blocking;
  ChannelLayout view{.rows = data.dims[0], .channels = data.dims[1]};
  if (data.ndims == 3) {  // a sequence: positions stand as pixels do where channels come last
    CHECK(layout == plain_layout(view.rows, {data.dims[1], data.dims[2]}, layout.data_type()));
    return {.rows = view.rows,
            .channels = data.dims[2],
            .blocks = 1,
            .pixels = data.dims[1],
            .block = data.dims[2]};
  }
  view.pixels = data.ndims == 2 ? 1 : data.dims[2] * data.dims[3];
  if (blocking.inner_nblks == 1 && blocking.inner_idxs[0] == 1) {
    view.block = blocking.inner_blks[0];
    view.blocks = data.padded_dims[1] / view.block;
  } else {
    CHECK(blocking.inner_nblks == 0);
    const bool channels_last = data.ndims == 2 || (blocking.strides[1] == 1 && view.channels > 1);
    view.block = channels_last ? view.channels : 1;
    view.blocks = channels_last ? 1 : view.channels;
  }
  CHECK(blocking.strides[0] == view.row_floats(), "rows stand one behind the other");
  CHECK(data.ndims == 2 || blocking.strides[3] == view.block, "pixels stand one behind the other");
  return view;
}

}  // namespace regatta
