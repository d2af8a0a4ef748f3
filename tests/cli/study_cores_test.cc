// What a study's processes claim, and what they are told of others.
#include "cli/study_cores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class StudyCores : public testing::Test {
 protected:
  StudyCores() { ::setenv("TMPDIR", folder_.path().c_str(), 1); }
  ~StudyCores() override { old_ ? ::setenv("TMPDIR", old_->c_str(), 1) : ::unsetenv("TMPDIR"); }
  // What somebody who belongs to no study is told.
  static CpuSet taken() {
    CpuSet seen;
    EXPECT_TRUE(claim_cpus([&](const CpuSet& taken) {
                  seen = taken;
                  return CpuSet();
                }).ok());
    return seen;
  }

 private:
  const std::optional<std::string> old_ =
      std::getenv("TMPDIR") == nullptr ? std::nullopt : std::optional<std::string>(std::getenv("TMPDIR"));
  const TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(StudyCores, AreClaimedThoughAnotherStudyHasThemWhichIsTold) {
  const StudyClaim first = claim_for_study("/runs/a", {0, 1, 2});
  EXPECT_THAT(first.warning, IsEmpty());
  const StudyClaim second = claim_for_study("/runs/b", {1, 2, 3});
  EXPECT_THAT(second.warning, HasSubstr("have CPUs 1-2 of this host too"));
  EXPECT_EQ(taken(), (CpuSet{0, 1, 2, 3}));
}

TEST_F(StudyCores, OfItsOwnCrewsAreNoOthers) {
  const StudyClaim coordinator = claim_for_study("/runs/a", {0, 1});
  EXPECT_THAT(claim_for_study("/runs/../runs/a", {1}).warning, IsEmpty());
}

TEST_F(StudyCores, OfARankAreThoseThatItRunsOn) {
  const CpuSet all = allowed_cpus();
  ::setenv("OMP_PROC_BIND", "false", 1);
  EXPECT_FALSE(claim_own_cpus("/runs/a")) << "its environment says where threads run";
  ::unsetenv("OMP_PROC_BIND");
  ASSERT_TRUE(run_on({all.front()}).ok());
  const auto claim = claim_own_cpus("/runs/a");
  EXPECT_EQ(taken(), CpuSet{all.front()});
  ASSERT_TRUE(run_on(all).ok());
}

}  // namespace
}  // namespace regatta
