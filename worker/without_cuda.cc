// A build without CUDA: every question about engines on cards is answered with no.
#include "worker/card_engines.h"

namespace regatta {

bool has_card_engines() { return false; }

std::uint64_t free_card_bytes(int) { return 0; }

Result<std::unique_ptr<CardEngines>> open_card(Communicator&, const Clock&, const CardOptions&) {
  return failure("this build of regatta has no CUDA; write `device: cpu` under resources:");
}

}  // namespace regatta
