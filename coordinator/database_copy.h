// Reading a database that another process writes, where locks do not keep the two apart: file systems without
// locks, NFS mounts whose locks hold on one host only, a journal that a dead writer left.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/result.h"

namespace regatta {

// Changes with every transaction that is committed; nullopt: the file has no header yet. Read from the file,
// not from what the connection remembers; through the connection, since closing another descriptor of the
// file would give up the process's locks on it.
std::optional<std::uint32_t> change_counter(const SQLite::Database& database);

// A folder with a copy of the database, and of its journal if it has one, as they stood at one moment:
// opening the copy for writing rolls an unfinished transaction back. Copies again, for some seconds, when it
// was changed meanwhile.
Result<TemporaryDirectory> copy_database(const std::filesystem::path& database);

}  // namespace regatta
