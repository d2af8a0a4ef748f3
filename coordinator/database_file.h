// Opening a study's database file, on local disks and on shared file systems without locks.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

namespace regatta {

enum class DatabaseAccess { read, write, create };

// Throws SQLite::Exception. A file system that refuses SQLite's locks (Lustre without -o flock, NFS without
// its lock daemon) is written to without them: study.lock keeps other writers away. Readers are refused there
// and read a copy (database_copy.h).
std::unique_ptr<SQLite::Database> open_database(const std::filesystem::path& path, DatabaseAccess access);

}  // namespace regatta
