// The key and address files: who may read them, and what damage says.
#include "protocol/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Keys : public testing::Test {
 protected:
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(Keys, AreReadableByTheOwnerOnly) {
  ASSERT_TRUE(make_keys(folder_.path()).ok());
  EXPECT_EQ(fs::status(folder_.path() / "keys.json").permissions(), fs::perms{0600});
}

TEST_F(Keys, ReadBackAsTheyWereMade) {
  const auto made = make_keys(folder_.path());
  const auto read = read_keys(folder_.path());
  ASSERT_TRUE(made.ok() && read.ok());
  EXPECT_EQ(read->server_public, made->server_public);
  EXPECT_EQ(read->server_secret, made->server_secret);
  EXPECT_EQ(read->client_public, made->client_public);
  EXPECT_EQ(read->client_secret, made->client_secret);
  EXPECT_NE(read->server_secret, read->client_secret);
}

TEST_F(Keys, AreMadeOnceForAStudy) {
  const auto first = make_keys(folder_.path());
  const auto second = make_keys(folder_.path());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(second->client_secret, first->client_secret);
}

TEST_F(Keys, DamagedFileIsNamedWithWhatIsWrong) {
  ASSERT_TRUE(write_file_atomically(folder_.path() / "keys.json", R"({"server_public": "short"})").ok());
  const auto read = read_keys(folder_.path());
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message, HasSubstr("keys.json"));
  EXPECT_THAT(read.error().message, HasSubstr("server_public"));
  ASSERT_TRUE(write_file_atomically(folder_.path() / "keys.json", "{\"server").ok());
  EXPECT_FALSE(read_keys(folder_.path()).ok());
}

TEST_F(Keys, AbsentFileIsAnError) { EXPECT_FALSE(read_keys(folder_.path()).ok()); }

TEST_F(Keys, AddressReadsBackAndIsReadableByTheOwnerOnly) {
  const CoordinatorAddress written{.endpoint = "tcp://127.0.0.1:40123", .host = "here", .process_id = 77};
  ASSERT_TRUE(write_address(folder_.path(), written).ok());
  const auto read = read_address(folder_.path());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->endpoint, written.endpoint);
  EXPECT_EQ(read->host, written.host);
  EXPECT_EQ(read->process_id, written.process_id);
  EXPECT_EQ(fs::status(folder_.path() / "coordinator.json").permissions(), fs::perms{0600});
}

TEST_F(Keys, DamagedAddressIsAnError) {
  for (const char* text : {"", "[]", "{}", R"({"endpoint": 5})", "\xff"}) {
    ASSERT_TRUE(write_file_atomically(folder_.path() / "coordinator.json", text).ok());
    EXPECT_FALSE(read_address(folder_.path()).ok()) << text;
  }
}

}  // namespace
}  // namespace regatta
