// Batches made on the device, of data that stay there: what a Loader makes on the host, for the same options.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "data/cuda/resident_dataset.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "models/cuda/batch.h"

namespace regatta::cuda {

// BatchView::part is its place among a feed's parts.
struct ResidentPart {
  Split split;  // may be empty
  LoaderOptions options;
};

// The device memory that feeds of these parts take, so that one can see whether to make them.
std::size_t resident_bytes(std::span<const ResidentPart> parts);

// The rows, labels and floats of the Loader's batches: the same bits, but for the shares of mixup, for which
// the device computes logarithms, and what is mixed by them. The host tells a step's count, epoch, step and
// part alone. The parts' samples are of one shape, and one of them at least has some.
Result<std::unique_ptr<BatchFeed>> make_resident_feed(ResidentDatasets& datasets,
                                                      std::span<const ResidentPart> parts);

}  // namespace regatta::cuda
