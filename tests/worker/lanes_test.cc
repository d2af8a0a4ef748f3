// Trials side by side in one crew: each is the trial that it would be alone, to the bit, whatever the others
// do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>

#include "scripted_control.h"
#include "small_data.h"
#include "worker/checkpoint.h"
#include "worker/shape_key.h"
#include "worker/training.h"

namespace regatta {
namespace {

using How = AttemptEnd::How;

constexpr const char* kExperiment = R"(
name: small
seed: 7
objective: {maximize: val_accuracy}
data: {format: idx, path: ., validation: 0.2}
space:
  lr: {float: [1e-9, 1e30], log: true}
  width: {int: [4, 8]}
  optimizer: {choice: [sgd, adam]}
  rate: {float: [0, 0.9]}
model:
  layers:
    - conv: {filters: $width, kernel: 3}
    - batch_norm
    - relu
    - max_pool: 2
    - flatten
    - dropout: $rate
    - dense: 3
train: {optimizer: {type: $optimizer, lr: $lr, weight_decay: 0.001}, schedule: cosine, batch_size: 24}
)";

Point point(double lr, int width = 4, int optimizer = 0, double rate = 0.3) {
  return {lr, static_cast<double>(width), static_cast<double>(optimizer), rate};
}

// A crew of one rank with so many lanes.
class Crew {
 public:
  Crew(const std::filesystem::path& folder, int lanes)
      : experiment_(parse_experiment(kExperiment, (folder / "small.yaml").string()).value()),
        bench_(*communicator_, experiment_, clock_, {.folder = folder, .lanes = lanes, .max_epochs = 9}),
        training_(bench_) {}

  // An attempt of the trial of this number, ended by order after `epochs`.
  ScriptedControl& begin(int trial, Point point, int epochs, const std::string& checkpoint = {}) {
    const std::int64_t attempt = ++attempts_;
    auto& control = controls_[trial] = std::make_unique<ScriptedControl>(
        Decision{.until_epoch = epochs}, std::map<int, Decision>{{epochs, {Decision::Action::end}}});
    training_.begin({.attempt = attempt,
                     .trial = trial,
                     .point = std::move(point),
                     .until_epoch = epochs,
                     .checkpoint = checkpoint},
                    control.get());
    return *control;
  }
  void advance() {
    const auto ended = training_.advance();
    ASSERT_TRUE(ended.ok()) << ended.error().message;
    for (const EndedAttempt& attempt : *ended) {
      ends[attempt.trial] = attempt.end;
    }
  }
  void run() {
    while (training_.is_busy()) {
      advance();
    }
  }
  const std::vector<EpochReport>& reports(int trial) const { return controls_.at(trial)->reports; }
  Training& training() { return training_; }

  std::map<int, AttemptEnd> ends;  // by trial

 private:
  const SystemClock clock_;
  std::unique_ptr<Communicator> communicator_ = make_single_communicator();
  Experiment experiment_;
  Workbench bench_;
  Training training_;
  std::map<int, std::unique_ptr<ScriptedControl>> controls_;
  std::int64_t attempts_ = 0;
};

class Lanes : public testing::Test {
 protected:
  Lanes() {
    write_small_images(folder_.path());
    write_small_images(alone_folder_.path());
  }

  // The same trial in a crew of its own: metrics of every epoch, and the last checkpoint.
  void expect_as_alone(const std::vector<EpochReport>& reports, int trial, const Point& at, int epochs) {
    Crew alone(alone_folder_.path(), 1);
    alone.begin(trial, at, epochs);
    alone.run();
    const std::vector<EpochReport>& expected = alone.reports(trial);
    ASSERT_EQ(reports.size(), expected.size()) << "trial " << trial;
    for (std::size_t i = 0; i < reports.size(); ++i) {
      EXPECT_EQ(reports[i].epoch, expected[i].epoch);
      EXPECT_EQ(reports[i].metrics, expected[i].metrics) << "trial " << trial << ", epoch " << i + 1;
    }
    const auto mine = load_checkpoint(folder_.path() / reports.back().checkpoint).value();
    const auto other = load_checkpoint(alone_folder_.path() / expected.back().checkpoint).value();
    ASSERT_EQ(mine.state.tensors.size(), other.state.tensors.size());
    for (std::size_t i = 0; i < mine.state.tensors.size(); ++i) {
      EXPECT_EQ(mine.state.tensors[i].values, other.state.tensors[i].values) << mine.state.tensors[i].name;
    }
    EXPECT_EQ(mine.state.steps, other.state.steps);
  }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  TemporaryDirectory alone_folder_ = TemporaryDirectory::make().value();
};

TEST_F(Lanes, ATrialInALaneIsTheTrialAlone) {
  Crew crew(folder_.path(), 4);
  const std::vector<Point> points = {point(0.05), point(0.03, 4, 0, 0.6), point(0.2, 4, 0, 0), point(0.01)};
  for (int trial = 0; trial < 4; ++trial) {
    crew.begin(trial, points[static_cast<std::size_t>(trial)], 3);
  }
  EXPECT_FALSE(crew.training().has_room());
  crew.run();
  for (int trial = 0; trial < 4; ++trial) {
    EXPECT_EQ(crew.ends[trial].how, How::ordered) << crew.ends[trial].message;
    expect_as_alone(crew.reports(trial), trial, points[static_cast<std::size_t>(trial)], 3);
  }
}

TEST_F(Lanes, LanesInStepTrainTogether) {
  Crew crew(folder_.path(), 3);
  for (int trial = 0; trial < 3; ++trial) {
    crew.begin(trial, point(0.05), 2);
  }
  crew.advance();
  for (int trial = 0; trial < 3; ++trial) {
    EXPECT_EQ(crew.reports(trial).size(), 1U) << "after one epoch of the crew, trial " << trial;
  }
}

TEST_F(Lanes, AFreedLaneTakesTheNextTrialWhichCatchesUpWithTheOthers) {
  Crew crew(folder_.path(), 2);
  crew.begin(0, point(0.05), 6);
  crew.begin(1, point(0.01), 2);
  while (crew.ends.empty()) {
    crew.advance();
  }
  ASSERT_EQ(crew.reports(0).size(), 2U);
  crew.begin(2, point(0.1), 6);
  crew.advance();
  crew.advance();
  EXPECT_EQ(crew.reports(0).size(), 2U) << "it waits";
  EXPECT_EQ(crew.reports(2).size(), 2U);
  crew.advance();
  EXPECT_EQ(crew.reports(0).size(), 3U) << "from here on both take their steps together";
  EXPECT_EQ(crew.reports(2).size(), 3U);
  crew.run();
  expect_as_alone(crew.reports(0), 0, point(0.05), 6);
  expect_as_alone(crew.reports(1), 1, point(0.01), 2);
  expect_as_alone(crew.reports(2), 2, point(0.1), 6);
}

TEST_F(Lanes, ALaneThatIsAheadIsNotLeftBehindForGood) {
  Crew crew(folder_.path(), 2);
  crew.begin(0, point(0.05), 9);
  for (int epoch = 0; epoch < 3; ++epoch) {
    crew.advance();
  }
  int others = 0;
  while (crew.reports(0).size() == 3 && others < 30) {
    if (crew.training().has_room()) {
      crew.begin(++others, point(0.01), 1);  // new trials without end
    }
    crew.advance();
  }
  EXPECT_EQ(crew.reports(0).size(), 4U);
  EXPECT_LE(others, 9);
}

TEST_F(Lanes, ALaneThatDivergesOrIsEndedDisturbsNoOther) {
  Crew crew(folder_.path(), 3);
  crew.begin(0, point(0.05), 3);
  crew.begin(1, point(1e30), 3);
  ScriptedControl& ended = crew.begin(2, point(0.05), 3);
  ended.on_decide = [&](int asked) {
    if (asked == 2) {
      ended.set(Decision::Action::end);  // in the middle of an epoch
    }
  };
  crew.run();
  EXPECT_EQ(crew.ends[1].how, How::diverged);
  EXPECT_EQ(crew.ends[2].how, How::ordered);
  EXPECT_TRUE(crew.reports(2).empty());
  expect_as_alone(crew.reports(0), 0, point(0.05), 3);
}

TEST_F(Lanes, ASuspendedLaneGoesOnInAnotherWithTheSameBits) {
  Crew crew(folder_.path(), 2);
  crew.begin(0, point(0.05), 4);
  ScriptedControl& suspended = crew.begin(1, point(0.02), 4);
  suspended.on_decide = [&](int asked) {
    if (asked == 2) {
      suspended.set(Decision::Action::suspend);
    }
  };
  while (!crew.ends.contains(1)) {
    crew.advance();
  }
  ASSERT_EQ(crew.ends[1].how, How::interrupted);
  const std::string checkpoint = crew.ends[1].checkpoint;
  const auto saved = load_checkpoint(folder_.path() / checkpoint).value();
  EXPECT_GT(saved.step, 0);
  crew.begin(3, point(0.3), 4);  // takes the lane
  while (!crew.training().has_room()) {
    crew.advance();
  }
  std::vector<EpochReport> reports = crew.reports(1);
  crew.begin(1, point(0.02), 4, checkpoint);
  crew.run();
  reports.insert(reports.end(), crew.reports(1).begin(), crew.reports(1).end());
  expect_as_alone(reports, 1, point(0.02), 4);
  expect_as_alone(crew.reports(0), 0, point(0.05), 4);
}

TEST_F(Lanes, ATrialOfAnotherShapeWaitsForTheOthersEnd) {
  Crew crew(folder_.path(), 3);
  crew.begin(0, point(0.05), 2);
  crew.begin(1, point(0.05, 7), 2);
  crew.begin(2, point(0.05), 2);  // does not overtake
  crew.advance();
  EXPECT_EQ(crew.reports(0).size(), 1U);
  EXPECT_TRUE(crew.reports(1).empty());
  crew.run();
  for (const auto& [trial, at] :
       std::map<int, Point>{{0, point(0.05)}, {1, point(0.05, 7)}, {2, point(0.05)}}) {
    expect_as_alone(crew.reports(trial), trial, at, 2);
  }
}

TEST_F(Lanes, ATrialThatWaitsForAnEngineHearsDecisionsToo) {
  Crew crew(folder_.path(), 3);
  crew.begin(0, point(0.05), 2);
  crew.begin(1, point(0.05, 7), 2).set(Decision::Action::suspend);
  crew.begin(2, point(0.05, 8), 2).set(Decision::Action::end);
  crew.advance();
  crew.advance();
  EXPECT_EQ(crew.ends[1].how, How::interrupted);
  EXPECT_EQ(crew.ends[1].checkpoint, "");
  EXPECT_EQ(crew.ends[2].how, How::ordered);
  crew.run();
  expect_as_alone(crew.reports(0), 0, point(0.05), 2);
}

TEST_F(Lanes, ShapesDifferInAllThatIsNotALanesOwn) {
  const auto experiment = parse_experiment(kExperiment, "small.yaml").value();
  const auto key = [&](const Point& at) { return shape_key(experiment, at).value(); };
  EXPECT_EQ(key(point(0.1, 4, 0, 0.1)), key(point(0.2, 4, 0, 0.7)));
  EXPECT_NE(key(point(0.1, 4, 0)), key(point(0.1, 4, 1)));
  EXPECT_NE(key(point(0.1, 4)), key(point(0.1, 5)));
  const auto batches = parse_experiment(std::string(kExperiment)
                                            .replace(std::string(kExperiment).find("batch_size: 24"), 14,
                                                     "batch_size: $width"),
                                        "small.yaml")
                           .value();
  EXPECT_NE(shape_key(batches, point(0.1, 4)).value(), shape_key(batches, point(0.1, 5)).value());
}

}  // namespace
}  // namespace regatta
