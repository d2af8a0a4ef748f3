// Evolution for several objectives: Deb, Pratap, Agarwal, Meyarivan, "A fast and elitist multiobjective
// genetic algorithm: NSGA-II", IEEE TEC 6(2), 2002.
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: nsga2, population: 24}. One objective or several. Steady state, so that no trial waits for a
// generation: parents are chosen among the best `population` of all trials that have ended, by fronts and
// crowding. The first trials, up to half of the population, are Sobol points.
Result<std::unique_ptr<Sampler>> make_nsga2(const Typed& config, const SearchContext& context);

}  // namespace regatta
