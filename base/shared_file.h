// Files that a process on another host has just written, on storage whose clients remember for a while what
// they have seen (NFS).
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

// The next look at a name in this folder asks the server: for files that are made, replaced and removed
// elsewhere. Without it a client may say for up to a minute that a new file is not there. Costs one request.
void forget_names_in(const std::filesystem::path& folder);

// Whole, once it is there; for a file that must be there because its writer has said so.
Result<std::string> read_file_soon(const std::filesystem::path& path,
                                   Microseconds patience = std::chrono::seconds(5));

// For looking again and again at what nobody tells of when it changes.
void pause_for(Microseconds time);

}  // namespace regatta
