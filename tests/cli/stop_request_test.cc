// Requests in a study's folder, and who obeys them.
#include "cli/stop_request.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class StopRequestTest : public testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "stop.json"; }
  const TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(StopRequestTest, IsSeenByTheCoordinatorThatItNamesAndGoneWithIt) {
  {
    StopRequests requests(folder_.path(), "node1 17");
    EXPECT_FALSE(requests.look(seconds(100)));
    const StopRequest wanted{.coordinator = "node1 17", .by = "ann on host login1"};
    ASSERT_TRUE(write_stop_request(folder_.path(), wanted).ok());
    EXPECT_FALSE(requests.look(milliseconds(100'500))) << "it looks about once a second";
    const auto& request = requests.look(seconds(101));
    ASSERT_TRUE(request);
    EXPECT_FALSE(request->at_once);
    EXPECT_EQ(request->by, "ann on host login1");
  }
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(StopRequestTest, MayBecomeMoreUrgent) {
  StopRequests requests(folder_.path(), "node1 17");
  ASSERT_TRUE(write_stop_request(folder_.path(), {.coordinator = "node1 17"}).ok());
  EXPECT_FALSE(requests.look(seconds(1))->at_once);
  ASSERT_TRUE(write_stop_request(folder_.path(), {.coordinator = "node1 17", .at_once = true}).ok());
  EXPECT_TRUE(requests.look(seconds(2))->at_once);
}

TEST_F(StopRequestTest, ToAnEarlierCoordinatorIsNotObeyed) {
  StopRequests requests(folder_.path(), "node1 18");
  ASSERT_TRUE(write_stop_request(folder_.path(), {.coordinator = "node1 17"}).ok());
  EXPECT_FALSE(requests.look(seconds(1)));
}

TEST_F(StopRequestTest, ThatCannotBeReadIsNone) {
  for (const char* text : {"", "[]", "{\"coordinator\": 7}", "{\"coordinator\": \"node1 17\"}"}) {
    ASSERT_TRUE(write_file_atomically(file(), text).ok());
    EXPECT_FALSE(read_stop_request(folder_.path())) << text;
  }
}

}  // namespace
}  // namespace regatta
