// Trials that are programs of the user: each rank of the crew starts one process, and the ranks keep them in
// step.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "devices/card_meter.h"
#include "experiment/experiment.h"
#include "worker/attempt.h"

namespace regatta {

struct ProgramOptions {
  std::filesystem::path folder;                  // of the study
  std::filesystem::path directory;               // where the programs run: the experiment file's folder
  int threads = 1;                               // OMP_NUM_THREADS, unless the user has set it
  CardMeter* meter = nullptr;                    // of this rank's card; nullptr: none
  Microseconds grace{std::chrono::seconds(10)};  // to exit after stop or pause, then SIGTERM, then SIGKILL
};

// Called by all ranks with the same order; only the leader has a control. The programs' environment:
//   RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT    as torchrun sets them
//   REGATTA_TRIAL REGATTA_ATTEMPT REGATTA_SEED
//   REGATTA_CHECKPOINT_DIR   kept between the attempts of a trial
//   REGATTA_RESUME_EPOCH     the last epoch whose report counts: go on from the state saved then; 0: begin
//   REGATTA_UNTIL_EPOCH      granted so far; a program may wait there for the answer or exit with code 0, and
//                            is started again when it is to go on
// program_protocol.h has the lines. An error means that the crew itself is broken.
Result<AttemptEnd> run_program(Communicator& communicator, const Experiment& experiment, const Clock& clock,
                               const ProgramOptions& options, const AttemptOrder& order,
                               AttemptControl* control);

}  // namespace regatta
