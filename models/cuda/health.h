// Which lanes have diverged: known on the device at once, and to the host without waiting for it.
#pragma once

namespace regatta::cuda {

// One flag a lane, set once and cleared when a trial starts. A lane's flag stands for all of its weights:
// half a diverged network could pass for one that trains, because relu and max pooling turn NaN into
// something finite.
struct Health {
  int* broken = nullptr;        // in device memory: kernels read it
  int* told_to_host = nullptr;  // in memory that the host reads while steps run
};

}  // namespace regatta::cuda
