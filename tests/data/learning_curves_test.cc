// Tables of learning curves: what they hold, which row a point finds, and every mistake with its place.
#include "data/learning_curves.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "base/file.h"
#include "base/progress.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSpace = "lr: {float: [0.01, 1], log: true}, kind: {choice: [a, b, 3]}";

// An experiment beside its table.
class Folder {
 public:
  Folder(const std::string& csv, const std::string& table = "{path: curves.csv}",
         const std::string& space = kSpace, const std::string& objective = "{minimize: loss}")
      : folder_(TemporaryDirectory::make().value()) {
    std::ofstream(folder_.path() / "curves.csv") << csv;
    experiment_ =
        parse_experiment("objective: " + objective + "\nspace: {" + space + "}\ntable: " + table + "\n",
                         (folder_.path() / "exp.yaml").string())
            .value();
  }
  Result<LearningCurves> load() const { return LearningCurves::load(experiment_); }
  std::string mistake() const {
    const auto loaded = load();
    const std::string message = loaded.ok() ? "no error" : loaded.error().message;
    const std::string prefix = folder_.path().string() + "/";
    return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
  }

 private:
  TemporaryDirectory folder_;
  Experiment experiment_;
};

constexpr const char* kTable =
    "id,lr,kind,v1,v2,v3\n"
    "7,0.01,a,0.9,0.8,0.7\n"
    "8,0.1,b,0.9,nan,\n"
    "9,1,3,0.5,0.4,0.3\n";

TEST(LearningCurves, HoldTheValuesOfEachEpoch) {
  const Folder folder(kTable);
  const LearningCurves curves = folder.load().value();
  EXPECT_EQ(curves.rows(), 3);
  EXPECT_EQ(curves.epochs(), 3);
  EXPECT_THAT(curves.values(0, 1), ElementsAre(0.9));
  EXPECT_THAT(curves.values(0, 3), ElementsAre(0.7));
  EXPECT_EQ(curves.epochs_of(1), 2) << "the last cell is empty";
  EXPECT_TRUE(std::isnan(curves.values(1, 2).front())) << "diverged";
  EXPECT_EQ(curves.epoch_seconds(0), std::nullopt);
}

TEST(LearningCurves, BeginAfterTheUntrainedNetwork) {
  const Folder folder(kTable, "{path: curves.csv, untrained: true}");
  const LearningCurves curves = folder.load().value();
  EXPECT_EQ(curves.epochs(), 2);
  EXPECT_THAT(curves.values(0, 1), ElementsAre(0.8));
}

TEST(LearningCurves, SeveralObjectivesAndTheCostHaveTheirColumns) {
  const Folder folder("lr,s1,s2,cost,l1,l2\n0.1,10,20,2.5,0.5,0.4\n",
                      "{path: curves.csv, cost: cost, values: {loss: l1, speed: s1}}",
                      "lr: {float: [0.01, 1]}", "[{minimize: loss}, {maximize: speed}]");
  const LearningCurves curves = folder.load().value();
  EXPECT_THAT(curves.values(0, 2), ElementsAre(0.4, 20));
  EXPECT_EQ(curves.epoch_seconds(0), 2.5);
}

TEST(LearningCurves, APointFindsTheNearestRowThatIsNotTaken) {
  const Folder folder(kTable);
  const LearningCurves curves = folder.load().value();
  EXPECT_EQ(curves.nearest({0.012, 0}, {false, false, false}), 0);
  EXPECT_EQ(curves.nearest({0.012, 0}, {true, false, false}), 1) << "half the logarithmic range away";
  EXPECT_EQ(curves.nearest({0.012, 2}, {false, false, false}), 2) << "a choice counts as the whole range";
  EXPECT_EQ(curves.nearest({0.5, 0}, {true, true, true}), std::nullopt);
}

TEST(LearningCurves, TellWithEachRowThatReadingItAndItsCurveGetOn) {
  std::string csv = kTable;
  for (int row = 0; row < 100; ++row) {
    csv += "9,0.1,a,1,2,3\n";
  }
  const Folder folder(csv);
  std::size_t notes = 0;
  const ProgressListener listener([&] { ++notes; });
  const LearningCurves curves = folder.load().value();
  EXPECT_GE(notes, 2 * curves.rows_in_file());
}

TEST(LearningCurves, RowsOutsideOfTheSpaceAreLeftOut) {
  const Folder folder(kTable, "{path: curves.csv}",
                      "lr: {float: [0.01, 0.5], log: true}, kind: {choice: [a, 3]}");
  const LearningCurves curves = folder.load().value();
  EXPECT_EQ(curves.rows(), 1);
  EXPECT_EQ(curves.rows_in_file(), 3);
  EXPECT_THAT(Folder(kTable, "{path: curves.csv}", "lr: {float: [2, 3]}").mistake(),
              HasSubstr("exp.yaml:3:8: no row of"));
}

TEST(LearningCurves, AParameterThatIsInactiveInARowCountsAsDifferent) {
  const Folder folder("kind,momentum,v1\na,0.5,1\nb,,2\n", "{path: curves.csv}",
                      "kind: {choice: [a, b]}, momentum: {float: [0, 1], when: kind == a}");
  const LearningCurves curves = folder.load().value();
  EXPECT_EQ(curves.nearest({0, 0.9}, {false, false}), 0);
  EXPECT_EQ(curves.nearest({1, std::nullopt}, {false, false}), 1);
}

TEST(LearningCurves, MistakesAreToldWithTheirPlace) {
  EXPECT_THAT(Folder(kTable, "{path: curve.csv}").mistake(), HasSubstr("curve.csv does not exist"));
  EXPECT_THAT(Folder(kTable, "{paths: curves.csv}").mistake(), HasSubstr("did you mean"));
  EXPECT_EQ(Folder(kTable, "{path: curves.csv, values: w1}").mistake().substr(0, 14), "exp.yaml:3:35:");
  EXPECT_THAT(Folder(kTable, "{path: curves.csv, values: w1}").mistake(), HasSubstr("no column 'w1'"));
  EXPECT_THAT(Folder(kTable, "{path: curves.csv, values: lr}").mistake(),
              HasSubstr("stands for something else"));
  EXPECT_THAT(Folder(kTable, "{path: curves.csv, cost: price}").mistake(), HasSubstr("no column 'price'"));
  EXPECT_THAT(Folder(kTable, "{path: curves.csv, cost: kind}").mistake(),
              testing::StartsWith("curves.csv:2:8: column 'kind': expected seconds"));
  EXPECT_THAT(Folder(kTable, "{path: curves.csv}", "width: {int: [1, 2]}").mistake(),
              HasSubstr("exp.yaml:2:9: "));
  EXPECT_THAT(Folder("lr,kind,v1\nfast,a,1\n").mistake(), testing::StartsWith("curves.csv:2:1: column 'lr'"));
  EXPECT_THAT(Folder("lr,kind,v1\n0.1,a,low\n").mistake(),
              testing::StartsWith("curves.csv:2:7: column 'v1'"));
  EXPECT_THAT(Folder("lr,kind,v1,v2\n0.1,a,,1\n").mistake(), HasSubstr("nothing after an empty cell"));
  EXPECT_THAT(Folder("lr,kind,v1\n0.1,a,\n").mistake(), HasSubstr("at least one value"));
  EXPECT_THAT(Folder("lr,kind,v1\n0.1,a,1\n", "{path: curves.csv, untrained: true}").mistake(),
              HasSubstr("no column of values after the untrained 'v1'"));
  EXPECT_THAT(Folder(kTable, "{path: curves.csv}", kSpace, "[{minimize: loss}, {minimize: time}]").mistake(),
              HasSubstr("a map from each objective"));
}

}  // namespace
}  // namespace regatta
