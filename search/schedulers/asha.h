// Asynchronous successive halving: no trial waits for the others of its rung. Li, Jamieson, Rostamizadeh,
// Gonina, Ben-tzur, Hardt, Recht, Talwalkar, "A system for massively parallel hyperparameter tuning", MLSys
// 2020.
#pragma once

#include <memory>

#include "search/scheduler.h"

namespace regatta {

// {type: asha, rule: promotion | stopping, min_epochs: 1, max_epochs: R, eta: 3, growth: eta, brackets: 1,
// leader: false}.
//
// promotion (algorithm 2 of the paper): a trial pauses at each rung, and a free crew resumes the best paused
// trial that is among the top 1/eta of its rung, in the highest rung that has one; else it starts a new
// trial. stopping (section 3.3 of its first version, arXiv 1810.05934): a trial ends at a rung unless it is
// among the top 1/eta of those that reached the rung so far; the first eta - 1 of them go on. brackets:
// ladders side by side; bracket b leaves out the lowest b rungs, so that its trials are judged later.
//
// In the paper each rung is eta times as long as the one below, so all of them cost the same. With growth g
// below eta the rungs lie closer, at min_epochs · gᵏ, and rung k costs (g/eta)ᵏ of the first: most epochs go
// to new trials. `leader: true` balances that, under promotion: the best of the two or more trials in a rung
// may go on though they be fewer than eta, so whoever leads everywhere trains to the end at once.
Result<std::unique_ptr<Scheduler>> make_asha(const Typed& config, const SearchContext& context);

// {type: pasha, min_epochs: 1, max_epochs: R, eta: 3}: asha by promotion whose ladder begins with two rungs
// and grows by one, up to max_epochs, whenever the trials of its top rung rank otherwise than in the rung
// below (rank_stability.h). Where rankings are stable, no trial trains to max_epochs.
Result<std::unique_ptr<Scheduler>> make_pasha(const Typed& config, const SearchContext& context);

}  // namespace regatta
