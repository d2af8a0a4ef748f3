// The timeline. One process has one trace, so that one test tells its whole life.
#include "base/trace.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"

namespace regatta {
namespace {

TEST(Trace, HasTheLatestSpansOfAllThreadsAsJson) {
  const auto folder = TemporaryDirectory::make().value();
  { const TraceSpan before("before"); }
  ASSERT_TRUE(write_trace(folder.path() / "none.json", "nobody", 0).ok());
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "none.json")) << "there was no trace";

  VirtualClock clock;
  start_trace(clock, {.spans = 4});
  { const TraceSpan lost("pushed out"); }
  {
    const TraceSpan outer("outer", 1024);
    clock.advance_to(Microseconds(10));
    {
      const TraceSpan inner("inner");
      clock.advance_to(Microseconds(15));
    }
    clock.advance_to(Microseconds(30));
  }
  std::jthread([] { const TraceSpan other("other"); }).join();
  { const TraceSpan last("last"); }

  const auto parts = folder.path() / "parts";
  ASSERT_TRUE(make_directories(parts).ok());
  ASSERT_TRUE(write_trace(parts / "a.json", "rank 0", 3).ok());
  ASSERT_TRUE(write_trace(parts / "b.json", "rank 1", 4).ok());
  ASSERT_TRUE(join_traces(parts, folder.path() / "whole.json").ok());
  const auto events = nlohmann::json::parse(read_file(folder.path() / "whole.json").value());
  ASSERT_EQ(events.size(), 10U);
  std::map<std::string, nlohmann::json> spans;
  for (const auto& event : events) {
    if (event["ph"] == "X" && event["pid"] == 3) {
      spans[event["name"]] = event;
    }
  }
  ASSERT_EQ(spans.size(), 4U);
  EXPECT_FALSE(spans.contains("pushed out"));
  EXPECT_EQ(spans["outer"]["ts"], 0);
  EXPECT_EQ(spans["outer"]["dur"], 30);
  EXPECT_EQ(spans["outer"]["args"]["bytes"], 1024);
  EXPECT_EQ(spans["inner"]["ts"], 10);
  EXPECT_EQ(spans["inner"]["dur"], 5);
  EXPECT_EQ(spans["last"]["tid"], spans["outer"]["tid"]);
  EXPECT_NE(spans["other"]["tid"], spans["outer"]["tid"]);
}

}  // namespace
}  // namespace regatta
