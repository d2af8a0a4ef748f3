// Who the ranks of one mpirun are, and, where they are on several hosts, whether crews can run there.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/rank_crews.h"
#include "cli/study_plan.h"
#include "cluster/ask_hosts.h"
#include "collectives/communicator.h"

namespace regatta {

struct RankSeats {
  std::vector<CrewRank> ranks;  // by rank, in no crew yet
  std::vector<int> cores;       // usable, by rank
  bool one_host = true;
};
// All ranks call it.
Result<RankSeats> tell_seats(Communicator& world);

struct RankSurvey {
  std::vector<HostReport> reports;  // by host, in the order of their first ranks
  std::string address;              // of rank 0's host, by which the others reach it
};
// Rank 0 asks one rank of each host (see check_hosts); the others call answer_survey(). `folder` is the
// study's, or where it will be made.
Result<RankSurvey> survey_ranks(Communicator& world, const RankSeats& seats, const StudyPlan& plan,
                                const std::filesystem::path& folder);
Status answer_survey(Communicator& world, const RankSeats& seats);
// In place of survey_ranks(), where rank 0 has found a mistake before.
Status call_off_survey(Communicator& world);

}  // namespace regatta
