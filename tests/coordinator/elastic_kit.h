// Studies whose crews may be reshaped, and the ways to the points where something can go wrong.
#pragma once

#include <string>
#include <vector>

#include "study_kit.h"

namespace regatta {

using Slots = std::vector<int>;

// A report of a Race tells that its epoch took a second.
inline constexpr const char* kOneLongTrial = "scheduler: {type: fifo, max_epochs: 100}, stop: {trials: 1}";
inline constexpr const char* kThreeTrials = "scheduler: {type: fifo, max_epochs: 100}, stop: {trials: 3}";

StudyOptions elastic(ElasticOptions options = {});
void join(Race& race, const std::string& crew, const Slots& slots, std::vector<AttemptId> attempts = {});
std::vector<std::string> dismissed(const Race& race);
std::vector<std::vector<Slots>> reshaped(const Race& race);

// Crew "a" trains the only trial and "b" has nothing to do; a larger crew is ordered.
void order_growth(Race& race);

// The larger crew has its data, and "a" was told to suspend.
void reach_handover(Race& race);
void hand_over(Race& race);

// A guest trains beside the larger crew "ab", and its trial, the third, is to be trained elsewhere.
void order_split(Race& race);

// A small crew of a split that fails trains attempt 5; the large one goes on with attempt 4.
void fail_split(Race& race);

}  // namespace regatta
