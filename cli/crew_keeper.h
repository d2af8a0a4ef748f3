// Keeps a study's crews running: starts them, starts those again that die, and takes over those that an
// earlier coordinator left behind.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cli/crew_record.h"
#include "cluster/launcher.h"

namespace regatta {

struct CrewKeeperOptions {
  std::filesystem::path folder;  // of the study
  int crews = 1;
  bool restarts = true;  // false: the crews are there once, and one that ends leaves its slot empty
  // In a row, of one slot, while no other crew lives: then something is wrong that a restart does not cure.
  int max_quick_deaths = 5;
  int max_quick_deaths_elsewhere = 15;                  // other hosts may be away for some minutes
  Microseconds quick{std::chrono::seconds(10)};         // a death so soon after the start is a quick one
  Microseconds rejoin_limit{std::chrono::seconds(45)};  // for crews of an earlier session
  // For a crew with ranks on other hosts to be heard of after its start: mpirun waits for a host that is cut
  // off for as long as it may.
  Microseconds join_limit{std::chrono::seconds(120)};
  // For a crew to end once it was dismissed. Shorter than the study waits for it to leave a card.
  Microseconds end_limit{std::chrono::seconds(20)};
};

// Not thread-safe. Each slot belongs to one crew, as a rule to one of its own; reshape() changes that. Each
// start of a crew is an incarnation with a name of its own, crew-SLOT.INCARNATION, after its first slot.
class CrewKeeper {
 public:
  struct Tended {
    std::vector<CrewExit> exits;        // since the last call
    std::vector<std::string> replaced;  // of these: others have their slots, they are not started again
    std::vector<std::string> divided;   // of these: their slots make crews of their own again
    // A crew dies whenever it is started, or none is left; tells the last words.
    std::optional<Error> failure;
  };

  // The clock must outlive the keeper.
  CrewKeeper(std::unique_ptr<Launcher> launcher, const Clock& clock, CrewKeeperOptions options);

  // Takes over the crews of an earlier session that still run on this host; returns those that are gone.
  std::vector<CrewExit> adopt();

  // Notes the crews that ended and starts those that are due, until wind_down() even those that ended
  // cleanly: a crew that lost its coordinator does so too. `connected` names the crews that the server hears;
  // adopted crews that have not come back to it by the rejoin limit are killed.
  Tended tend(const std::vector<std::string>& connected);

  // From now on each of these sets of slots belongs to one crew, which is started where it is not there. A
  // crew that loses a slot by this runs on, and is not started again. So is none of several slots: when it
  // ends, its slots go back to crews of their own. Without restarts nothing changes.
  void reshape(const std::vector<std::vector<int>>& crews);
  // It was dismissed with work left: what has not ended by the end limit hangs, and is killed.
  void expect_end(const std::string& crew);
  // Of a crew that runs here; empty: it does not.
  std::vector<int> slots_of(const std::string& crew) const;

  // Nothing is left to do: no crew is started from now on.
  void wind_down() { winding_down_ = true; }
  bool any_running() const;
  // Ends what is left; what does not end by itself within `grace` is killed. Returns what ended; their
  // records stay until they are forgotten.
  std::vector<CrewExit> stop_all(Microseconds grace);
  // The study has stored how these ended: no later session need find out.
  void forget(const std::vector<CrewExit>& ended);

 private:
  struct Place {                       // of one crew
    std::vector<int> slots;            // ascending
    std::string crew;                  // running now; empty: none
    std::optional<CrewRecord> record;  // of a crew of an earlier session
    bool heard = false;                // by the server, since its start
    bool elsewhere = false;            // it has ranks on other hosts
    Microseconds started{0};
    std::optional<Microseconds> dismissed;
    Microseconds due{0};  // when to start next, with no crew running
    int quick_deaths = 0;
  };
  Status start(Place& place);
  Status note_exit(Place& place, const CrewExit& exit, bool others_live);
  void note_exits(Tended& tended, const std::vector<std::string>& connected);
  void kill_unheard(const std::vector<std::string>& connected);
  void kill_hung();
  void clear(const std::vector<int>& slots);
  void settle(const std::vector<int>& slots);
  void give_back(std::vector<int> slots);
  void kill_absent(const std::vector<std::string>& connected);
  void poll_adopted(Tended& tended);

  std::unique_ptr<Launcher> launcher_;
  const Clock& clock_;
  CrewKeeperOptions options_;
  std::vector<int> incarnations_;  // by slot: the last one
  std::vector<Place> places_;      // each slot belongs to exactly one
  std::vector<Place> leaving_;     // crews that run on slots which have gone to others
  Microseconds adopted_at_{0};
  bool rejoin_over_ = false;
  bool winding_down_ = false;
};

}  // namespace regatta
