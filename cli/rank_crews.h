// Crews that are ranks of one mpirun: nobody starts them, and when one of their ranks dies nobody is told. So
// how a crew ended stands in a file, crews/<name>.end in the study's folder, which all of its ranks and the
// coordinator look for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cluster/launcher.h"

namespace regatta {

// Whether mpirun was started with --enable-recovery: the death of a rank then leaves the others alive.
bool survives_dead_ranks();

// Ends the mpirun that this process is a child of; false where its parent is another program (a daemon of
// Open MPI, when mpirun is on another host).
bool end_mpirun();

// The first word on it counts. `reason`: empty for a crew that was dismissed.
void note_crew_end(const std::filesystem::path& study, const std::string& crew, const std::string& reason);
// Whether one of the crews was lost. Then no rank may call MPI_Finalize, which could wait for a dead one.
bool any_crew_lost(const std::filesystem::path& study, int crews);
std::string rank_crew_name(int crew);
// For a rank without a crew: until each of them has ended.
void wait_for_crews(const std::filesystem::path& study, int crews);
// nullopt: it runs.
std::optional<std::string> crew_end(const std::filesystem::path& study, const std::string& crew);

// The coordinator's view: start() finds the crew started already.
std::unique_ptr<Launcher> make_rank_launcher();

struct CrewRank {
  std::string crew;  // empty: none
  int rank = 0;      // of the world
  std::string host;
  long process_id = 0;
  std::int64_t process_start = 0;
};

// A thread of a rank. It ends this process once its crew is lost, and notes the loss of a crew when a rank on
// this host has died: each rank watches the next one on its host.
class RankWatch {
 public:
  // `ranks`: of the world, by rank.
  RankWatch(std::filesystem::path study, const CrewRank& mine, const std::vector<CrewRank>& ranks);

 private:
  void watch(const std::stop_token& stop);
  void look_at_next();

  const std::filesystem::path study_;
  const CrewRank mine_;
  std::vector<CrewRank> next_;  // on this host, from this rank's neighbour on; those found dead are gone
  std::optional<Microseconds> absent_since_;
  const SystemClock clock_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace regatta
