// What the displays print, in virtual time and into a file.
#include "cli/display.h"

#include <gmock/gmock.h>

#include "cli/study_plan.h"

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kExperiment =
    "objective: {maximize: score}\n"
    "search: {scheduler: {type: fifo, max_epochs: 2}, stop: {trials: 4}}\n"
    "space: {x: {float: [0, 1]}}\n"
    "command: [run, $x]\n";

class DisplayTest : public testing::Test {
 protected:
  DisplayTest() : stream_(std::tmpfile()) {
    (void)study_->handle(CrewJoined{.crew = "crew-0.1"}, seconds_(1));
  }
  ~DisplayTest() override { std::fclose(stream_); }

  static Microseconds seconds_(int count) { return std::chrono::seconds(count); }

  void report(int trial, int epoch, double score) {
    (void)study_->handle(ReportReceived{.crew = "crew-0.1",
                                        .attempt = trial + 1,
                                        .epoch = epoch,
                                        .metrics = {{"score", score}},
                                        .checkpoint = "c"},
                         seconds_(2));
    (void)study_->handle(LaneFree{.crew = "crew-0.1"}, seconds_(2));
  }

  Frame frame() const { return {.study = *study_, .title = "test", .crews = 1}; }

  std::string printed() {
    std::rewind(stream_);
    std::string text(1 << 16, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), stream_));
    return text;
  }

  std::unique_ptr<StudyPlan> plan_ =
      plan_study(parse_experiment(kExperiment, "test.yaml").value(), {.check_training = false}).value();
  std::unique_ptr<Study> study_ = make_study(*plan_);
  VirtualClock clock_;
  std::FILE* stream_;
};

TEST_F(DisplayTest, PlainLinesTellEndedTrialsAndNewBestValues) {
  const auto display = make_plain_display(stream_, clock_);
  display->update(frame());
  report(0, 1, 0.5);
  report(0, 2, 0.7);
  display->update(frame());
  report(1, 1, 0.3);
  report(1, 2, 0.4);
  display->finish(frame());
  const std::string text = printed();
  EXPECT_THAT(text, HasSubstr("trial 0 complete after 2 epochs: score 0.7"));
  EXPECT_THAT(text, HasSubstr("best so far: trial 0, score 0.7"));
  EXPECT_THAT(text, HasSubstr("trial 1 complete after 2 epochs: score 0.4"));
  EXPECT_THAT(text, Not(HasSubstr("best so far: trial 1")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST_F(DisplayTest, LivePictureShowsRunningTrialsAndIsDrawnAtABoundedRate) {
  const auto display = make_live_display(stream_, clock_);
  report(0, 1, 0.5);
  for (int i = 0; i < 100; ++i) {
    display->update(frame());
  }
  display->finish(frame());
  const std::string text = printed();
  EXPECT_THAT(text, HasSubstr("1/2"));
  EXPECT_THAT(text, HasSubstr("trials 1 of 4: 1 running"));
  EXPECT_THAT(text, HasSubstr("\x1b[?25h"));
  EXPECT_LT(text.size(), 2000U);
}

}  // namespace
}  // namespace regatta
