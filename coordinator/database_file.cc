// Flags, timeouts and the journal's mode.
#include "coordinator/database_file.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cctype>
#include <string>

namespace regatta {
namespace {

std::string uri_without_locks(const std::filesystem::path& path) {
  std::string escaped;
  for (const unsigned char letter : path.string()) {
    const bool plain =
        std::isalnum(letter) != 0 || std::string_view("/-_.~").find(letter) != std::string::npos;
    escaped += plain ? std::string(1, static_cast<char>(letter)) : fmt::format("%{:02X}", letter);
  }
  return "file:" + escaped + "?nolock=1";
}

// The first access finds out whether the file system can lock.
void prepare(SQLite::Database& database, DatabaseAccess access) {
  if (access == DatabaseAccess::read) {
    database.exec("SELECT count(*) FROM sqlite_schema");
    return;
  }
  // One file beside the database instead of WAL's shared memory, which no network file system has; emptied
  // instead of deleted, which is faster there. FULL: what append() has returned from survives a power cut.
  database.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL");
  database.exec("BEGIN IMMEDIATE; COMMIT");
}

std::unique_ptr<SQLite::Database> open_once(const std::string& name, DatabaseAccess access, int more_flags,
                                            Microseconds patience) {
  const int flags = access == DatabaseAccess::read     ? SQLite::OPEN_READONLY
                    : access == DatabaseAccess::create ? SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE
                                                       : SQLite::OPEN_READWRITE;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
  auto database =
      std::make_unique<SQLite::Database>(name, flags | more_flags, static_cast<int>(milliseconds));
  prepare(*database, access);
  return database;
}

}  // namespace

std::unique_ptr<SQLite::Database> open_database(const std::filesystem::path& path, DatabaseAccess access,
                                                Microseconds patience) {
  try {
    return open_once(path.string(), access, 0, patience);
  } catch (const SQLite::Exception& exception) {
    const bool cannot_lock =
        exception.getErrorCode() == SQLITE_IOERR || exception.getErrorCode() == SQLITE_PROTOCOL;
    if (!cannot_lock || access == DatabaseAccess::read) {
      throw;
    }
  }
  return open_once(uri_without_locks(path), access, SQLite::OPEN_URI, patience);
}

}  // namespace regatta
