// What rank 0 has found out and tells the other processes that were started with it: of `mpirun regatta run`
// and of `mpirun regatta join`. As text, for one broadcast.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace regatta {

// To a study that rank 0 has just made.
struct StudyInvitation {
  std::string folder;
  int threads = 1;
  int lanes = 1;
  int ranks_per_gpu = 0;          // 0: the crews compute on CPUs
  bool bind = false;              // ranks that share CPUs take a part each
  std::vector<int> crew_of_rank;  // negative: none
  // By crew: CUDA_VISIBLE_DEVICES on each of its hosts.
  std::vector<std::map<std::string, std::string>> cards;
};

// To a study that runs already.
struct GuestInvitation {
  std::string folder;           // absolute
  int ranks = 1;                // a crew
  std::string experiment_yaml;  // these three as in StoredStudy
  std::string experiment_file;
  std::string learned;
  std::vector<std::string> overrides;
  int threads = 0;   // a rank; 0: nobody says how many
  bool bind = true;  // resources.bind
};

std::string encode(const StudyInvitation& invitation);
std::string encode(const GuestInvitation& invitation);
// Of texts that encode() has made.
StudyInvitation decode_study_invitation(const std::string& text);
GuestInvitation decode_guest_invitation(const std::string& text);

}  // namespace regatta
