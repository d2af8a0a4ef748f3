// A build without CUDA: there are no cards for it.
#include "devices/devices.h"

namespace regatta {

FoundDevices find_devices() {
  return {.cards = {},
          .why_none = "this build has no CUDA: build where the CUDA toolkit, cuDNN and NCCL are",
          .versions = {}};
}

}  // namespace regatta
