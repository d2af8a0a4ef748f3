// Opening a study's database file, on local disks and on shared file systems without locks.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "base/clock.h"

namespace regatta {

enum class DatabaseAccess { read, write, create };

// Viewers hold the file for one query; a writer waits for them longer than they for it, and less long than it
// takes to lose a study's lock (coordinator/study_lock.h).
inline constexpr Microseconds kReaderPatience = std::chrono::seconds(10);
inline constexpr Microseconds kWriterPatience = std::chrono::seconds(20);

// Throws SQLite::Exception: SQLITE_BUSY, now and later, when another process holds the file for longer than
// the patience. A file system that refuses SQLite's locks (Lustre without -o flock, NFS without its lock
// daemon) is written to without them: study.lock keeps other writers away. Readers are refused there and read
// a copy (database_copy.h).
std::unique_ptr<SQLite::Database> open_database(const std::filesystem::path& path, DatabaseAccess access,
                                                Microseconds patience);

}  // namespace regatta
