// Which card a rank computes on.
#pragma once

#include "base/result.h"
#include "collectives/communicator.h"
#include "devices/devices.h"

namespace regatta {

// Called by all ranks of the crew, each of which sees the crew's cards on its host. Ranks on one host take
// them in turns; where there are too few, every rank gets the same sentence with host and ranks.
Result<Card> choose_card(Communicator& crew, int ranks_per_gpu);

}  // namespace regatta
