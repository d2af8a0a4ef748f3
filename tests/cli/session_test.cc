// A study that is opened again.
#include "cli/session.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "coordinator/study_lock.h"

namespace regatta {
namespace {

constexpr const char* kProgram = R"(
name: program
objective: {minimize: loss}
search: {sampler: random, stop: {trials: 1}}
space: {lr: {float: [0.1, 1]}}
command: [/bin/true, $lr]
resources: {crews: 1, threads: 1, bind: none}
)";

// Reading its data may take longer than others wait before they take a lock over that stands still.
TEST(Session, RenewsTheStudysLockBeforeItHasOpenedTheStudy) {
  const auto folder = TemporaryDirectory::make().value();
  const auto experiment = parse_experiment(kProgram, "exp.yaml");
  ASSERT_TRUE(experiment.ok()) << experiment.error().message;
  ASSERT_TRUE(Store::create(folder.path(), *experiment).value()->close().ok());
  const auto session = Session::reopen({.folder = folder.path(), .overrides = {}});
  ASSERT_TRUE(session.ok()) << session.error().message;
  const auto owner = find_lock_owner(folder.path());
  ASSERT_TRUE(owner);
  EXPECT_GT(std::stoi(owner->text.substr(owner->text.rfind(' ') + 1)), 0) << owner->text;
}

}  // namespace
}  // namespace regatta
