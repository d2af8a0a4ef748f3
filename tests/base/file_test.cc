// Files are there completely or not at all.
#include "base/file.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(WriteFileAtomically, LeavesTheOldFileWhenItCannotWrite) {
  const auto folder = TemporaryDirectory::make();
  ASSERT_TRUE(folder.ok());
  const auto path = folder->path() / "a.bin";
  ASSERT_TRUE(write_file_atomically(path, "old").ok());
  ASSERT_TRUE(write_file_atomically(path, "new").ok());
  EXPECT_EQ(read_file(path).value(), "new");
  const auto blocked = folder->path() / "missing" / "a.bin";
  const Status status = write_file_atomically(blocked, "x");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("missing"), std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder->path()), {}), 1)
      << "no drafts stay behind";
}

TEST(ReadFile, NamesTheFileThatIsMissing) {
  const auto text = read_file("/nonexistent/file");
  ASSERT_FALSE(text.ok());
  EXPECT_NE(text.error().message.find("/nonexistent/file"), std::string::npos);
}

TEST(Crc32, MatchesTheStandardCheckValue) { EXPECT_EQ(crc32_of("123456789"), 0xCBF43926U); }

}  // namespace
}  // namespace regatta
