// A session of a study whose trials are looked up in a table: the whole durable study, with simulated crews
// in virtual time in place of processes.
#pragma once

#include <memory>

#include "base/result.h"
#include "cli/session.h"

namespace regatta {

// Like Session::create and run(); returns the exit code.
Result<int> run_table_study(const NewStudy& request, std::unique_ptr<StudyPlan> plan);

// Like Session::reopen and run(), of a study whose experiment has a table.
Result<int> resume_table_study(const OldStudy& request);

}  // namespace regatta
