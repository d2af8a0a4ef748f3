// SQLite writes the old pages to the journal and flushes it before it changes the database, and empties the
// journal when it has committed. So if the journal was the same before and after the database was copied, and
// the header's counter too, the copies belong together: what changed in the database meanwhile is in the
// journal. https://sqlite.org/fileformat2.html#the_rollback_journal
#include "coordinator/database_copy.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <fstream>
#include <string>

#include "base/shared_file.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr int kAttempts = 50;
constexpr Microseconds kPause = std::chrono::milliseconds(100);
// In the header of a database.
constexpr int kCounterAt = 24;
constexpr int kCounterBytes = 4;

fs::path journal_of(const fs::path& database) { return database.string() + "-journal"; }

std::array<char, kCounterBytes> counter_in(const fs::path& database) {
  std::array<char, kCounterBytes> counter{};
  std::ifstream stream(database, std::ios::binary);
  stream.seekg(kCounterAt);
  stream.read(counter.data(), kCounterBytes);
  return counter;
}

// Empty: none, or nothing in it.
std::string journal_text(const fs::path& database) {
  const auto text = read_file(journal_of(database));
  return text.ok() ? *text : std::string();
}

}  // namespace

std::optional<std::uint32_t> change_counter(const SQLite::Database& database) {
  sqlite3_file* file = nullptr;
  std::array<unsigned char, kCounterBytes> bytes{};
  const int found = sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_FILE_POINTER,
                                         static_cast<void*>(&file));
  if (found != SQLITE_OK || file == nullptr || file->pMethods == nullptr ||
      file->pMethods->xRead(file, bytes.data(), kCounterBytes, kCounterAt) != SQLITE_OK) {
    return std::nullopt;
  }
  std::uint32_t counter = 0;
  for (const unsigned char byte : bytes) {  // big-endian
    counter = counter << 8 | byte;
  }
  return counter;
}

Result<TemporaryDirectory> copy_database(const fs::path& database) {
  ASSIGN_OR_RETURN(TemporaryDirectory folder, TemporaryDirectory::make());
  const fs::path copy = folder.path() / database.filename();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) {
      pause_for(kPause);
    }
    forget_names_in(database.parent_path());
    const auto counter = counter_in(database);
    const std::string journal = journal_text(database);
    ASSIGN_OR_RETURN(const std::string pages, read_file(database));
    if (journal_text(database) != journal || counter_in(database) != counter) {
      continue;
    }
    RETURN_IF_ERROR(write_file_atomically(copy, pages));
    if (!journal.empty()) {
      RETURN_IF_ERROR(write_file_atomically(journal_of(copy), journal));
    }
    return folder;
  }
  return timed_out(fmt::format(
      "{} is written to all the time and cannot be read without locks; try again later", database.string()));
}

}  // namespace regatta
