// How the program ends: the exit codes, and errors as one sentence on standard error.
#pragma once

#include "base/result.h"

namespace regatta {

inline constexpr int kExitDone = 0;
inline constexpr int kExitStudyFailed = 1;
inline constexpr int kExitUsersMistake = 2;
inline constexpr int kExitContinues = 3;
inline constexpr int kExitInterrupted = 130;

// Stands at the end of every --help.
inline constexpr const char* kExitCodesHelp =
    "Exit codes: 0 done, 1 the study failed, 2 a mistake in the file or the arguments (nothing was "
    "started),\n"
    "3 the state is saved and a later Slurm job goes on, 130 interrupted with the state saved.";

// Prints the message to standard error; returns the exit code of its kind.
int report_error(const Error& error);

}  // namespace regatta
