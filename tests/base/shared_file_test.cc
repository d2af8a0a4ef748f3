// Files that appear while they are waited for.
#include "base/shared_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(SharedFile, ThatItsWriterHasJustAnnouncedIsWaitedFor) {
  const auto folder = TemporaryDirectory::make();
  const auto path = folder->path() / "checkpoint";
  const pid_t writer = ::fork();
  if (writer == 0) {
    pause_for(milliseconds(150));
    ::_exit(write_file_atomically(path, "weights").ok() ? 0 : 1);
  }
  const auto content = read_file_soon(path, seconds(20));
  EXPECT_EQ(::waitpid(writer, nullptr, 0), writer);
  ASSERT_TRUE(content.ok()) << content.error().message;
  EXPECT_EQ(*content, "weights");
}

TEST(SharedFile, ThatNeverComesIsAnErrorAfterThePatience) {
  const auto folder = TemporaryDirectory::make();
  const SystemClock clock;
  const Microseconds begin = clock.monotonic();
  EXPECT_FALSE(read_file_soon(folder->path() / "nothing", milliseconds(120)).ok());
  EXPECT_GE(clock.monotonic() - begin, milliseconds(120));
}

TEST(SharedFile, ThatCannotBeReadIsNotWaitedFor) {
  const auto folder = TemporaryDirectory::make();
  const SystemClock clock;
  const Microseconds begin = clock.monotonic();
  EXPECT_FALSE(read_file_soon(folder->path(), seconds(60)).ok());
  EXPECT_LT(clock.monotonic() - begin, seconds(30));
}

}  // namespace
}  // namespace regatta
