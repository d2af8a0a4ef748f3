// Hyperband: brackets of successive halving that trade many short trials against few long ones. Li, Jamieson,
// DeSalvo, Rostamizadeh, Talwalkar, JMLR 18 (2018).
#pragma once

#include <memory>

#include "search/scheduler.h"

namespace regatta {

// {type: hyperband, min_epochs: 1, max_epochs: R, eta: 3}. Brackets are numbered on over the rounds: bracket
// b has the rungs of bracket b mod (s_max + 1) of plan().
Result<std::unique_ptr<Scheduler>> make_hyperband(const Typed& config, const SearchContext& context);

}  // namespace regatta
