// JSON that no other program reads: it goes from a program to itself.
#include "cli/invitation.h"

#include <nlohmann/json.hpp>

namespace regatta {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StudyInvitation, folder, threads, lanes, ranks_per_gpu, bind, crew_of_rank,
                                   cards)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GuestInvitation, folder, ranks, experiment_yaml, experiment_file, learned,
                                   overrides, threads, bind)

std::string encode(const StudyInvitation& invitation) { return nlohmann::json(invitation).dump(); }

std::string encode(const GuestInvitation& invitation) { return nlohmann::json(invitation).dump(); }

StudyInvitation decode_study_invitation(const std::string& text) {
  return nlohmann::json::parse(text).get<StudyInvitation>();
}

GuestInvitation decode_guest_invitation(const std::string& text) {
  return nlohmann::json::parse(text).get<GuestInvitation>();
}

}  // namespace regatta
