// A study that is opened again.
#include "cli/session.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>

#include "base/file.h"
#include "cli/table_session.h"
#include "coordinator/study_lock.h"

namespace regatta {
namespace {

constexpr const char* kCsv = R"(
name: csv
objective: {minimize: val_loss}
data: {format: csv, path: rows.csv, target: y}
search: {sampler: random, scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 1}}
space: {lr: {float: [0.1, 1]}}
model: {layers: [{dense: 7}]}
train: {optimizer: {type: sgd, lr: $lr}}
resources: {crews: 1, threads: 1, device: cpu}
)";

constexpr const char* kTable = R"(
name: table
objective: {minimize: loss}
search: {sampler: random, stop: {trials: 1}}
space: {lr: {float: [0, 1]}}
table: {path: rows.csv}
)";

// Its studies' folder is a temporary one, and so are the files that all coordinators of a host share.
class SessionTest : public testing::Test {
 protected:
  SessionTest() {
    if (const char* const before = std::getenv("TMPDIR")) {
      before_ = before;
    }
    ::setenv("TMPDIR", folder_.path().c_str(), 1);
  }
  ~SessionTest() override {
    if (before_) {
      ::setenv("TMPDIR", before_->c_str(), 1);
    } else {
      ::unsetenv("TMPDIR");
    }
  }

  std::filesystem::path data() const { return folder_.path() / "rows.csv"; }
  std::filesystem::path study() const { return folder_.path() / "study"; }

  void make_study(const char* yaml) const {
    std::filesystem::create_directories(study());
    const auto experiment = parse_experiment(yaml, (folder_.path() / "exp.yaml").string());
    ASSERT_TRUE(experiment.ok()) << experiment.error().message;
    ASSERT_TRUE(Store::create(study(), *experiment).value()->close().ok());
  }

  // How often the study's lock has been renewed; 0: not at all, or there is none.
  int renewals() const {
    const auto owner = find_lock_owner(study());
    return owner && !owner->host.empty() ? std::stoi(owner->text.substr(owner->text.rfind(' ') + 1)) : 0;
  }

 private:
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  std::optional<std::string> before_;
};

// It may take longer than others wait before they take a lock over that stands still.
TEST_F(SessionTest, RenewsTheStudysLockWithEachRowThatItReads) {
  constexpr int kRows = 40;
  {
    std::ofstream rows(data());
    rows << "x,y\n";
    for (int row = 0; row < kRows; ++row) {
      rows << row << ',' << row % 7 << '\n';
    }
  }
  make_study(kCsv);
  const auto session = Session::reopen({.folder = study(), .overrides = {}, .lock_renewal = Microseconds(0)});
  ASSERT_TRUE(session.ok()) << session.error().message;
  EXPECT_GT(renewals(), kRows);
}

// The table comes through a pipe, until the lock is seen to be renewed.
TEST_F(SessionTest, OfATableRenewsTheStudysLockWhileItReads) {
  make_study(kTable);
  ASSERT_EQ(::mkfifo(data().c_str(), 0600), 0);
  int seen = 0;
  std::jthread writer([&] {
    std::ofstream rows(data());
    rows << "lr,v1\n";
    for (int i = 0; i < 2000000 && seen == 0; ++i) {
      rows << "0.5,1\n";
      seen = i % 10000 == 9999 ? renewals() : 0;
    }
  });
  const auto code = resume_table_study({.folder = study(), .overrides = {}});
  writer.join();
  ASSERT_TRUE(code.ok()) << code.error().message;
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace regatta
