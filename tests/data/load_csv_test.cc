// `data: {format: csv}`: columns, categories, targets, missing cells, normalisation.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>

#include "data/dataset.h"
#include "made_data.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LoadCsv : public testing::Test {
 protected:
  // Loads the text with `target: y` and more keys ("missing: mean, task: regression").
  Result<DataSplits> load(std::string_view csv, const std::string& keys = "target: y",
                          std::uint64_t seed = 1) {
    write_text(folder_.path() / "t.csv", csv);
    return load_yaml(fmt::format("{{format: csv, path: t.csv, {}}}", keys), folder_.path(), seed);
  }
  TemporaryDirectory folder_ = make_folder();
};

// `rows` rows of x, colour, y with y = yes or no by turns.
std::string made_table(int rows) {
  std::string csv = "x,colour,y\n";
  for (int i = 0; i < rows; ++i) {
    csv += fmt::format("{},{},{}\n", i, i % 3 == 0 ? "red" : "blue", i % 2 == 0 ? "yes" : "no");
  }
  return csv;
}

float input_at(const DataSplits& splits, std::int64_t sample, std::int64_t feature) {
  const Dataset& dataset = *splits.train.dataset;
  return std::get<1>(dataset.inputs)[static_cast<std::size_t>(sample * dataset.sample_size() + feature)];
}

TEST_F(LoadCsv, TextsBecomeOneHotFeaturesAndClasses) {
  const auto splits = load(made_table(20));
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  const Dataset& dataset = *splits.value().train.dataset;
  EXPECT_EQ(dataset.task, Task::classification);
  EXPECT_THAT(dataset.feature_names, ElementsAre("x", "colour=blue", "colour=red"));
  EXPECT_THAT(dataset.class_names, ElementsAre("no", "yes"));
  EXPECT_EQ(dataset.labels[0], 1);
  EXPECT_THAT(
      std::vector<float>(std::get<1>(dataset.inputs).begin(), std::get<1>(dataset.inputs).begin() + 6),
      ElementsAre(0, 0, 1, 1, 1, 0));
  EXPECT_EQ(shape_of(splits.value()).outputs, 2);
}

TEST_F(LoadCsv, NumbersAreCategoriesWhereTheyAreListed) {
  const auto splits = load("code,x,y\n10,1,a\n9,2,b\n10,3,a\n9,4,b\n", "target: y, categorical: code");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  EXPECT_THAT(splits.value().train.dataset->feature_names, ElementsAre("code=9", "code=10", "x"));
}

TEST_F(LoadCsv, ColumnsAreChosenByNameOrNumberInTheGivenOrder) {
  const std::string csv = "a,b,c,y\n1,2,3,u\n4,5,6,v\n7,8,9,u\n";
  EXPECT_THAT(load(csv, "target: -1, columns: [c, 0]").value().train.dataset->feature_names,
              ElementsAre("c", "a"));
  EXPECT_THAT(load(csv, "target: [a, b], columns: c").value().train.dataset->target_names,
              ElementsAre("a", "b"));
}

TEST_F(LoadCsv, WholeNumbersThatStayAsTheyAreAreTokens) {
  const auto tokens = [&](std::string_view csv, const std::string& keys) {
    return shape_of(load(csv, "target: y, validation: 0, " + keys).value()).tokens;
  };
  const std::string csv = "a,b,y\n0,5,no\n3,1,yes\n2,2,no\n4,0,yes\n";
  EXPECT_EQ(tokens(csv, "normalize: false"), 6);
  EXPECT_EQ(tokens(csv, "normalize: true"), 0);
  EXPECT_EQ(tokens(csv + "0.5,1,no\n1,1,yes\n", "normalize: false"), 0);
}

TEST_F(LoadCsv, TheTargetDecidesTheTask) {
  const auto task_of = [&](const std::string& targets, const std::string& keys) {
    std::string csv = "x,y\n";
    for (std::size_t i = 0; i < targets.size(); i += 4) {
      csv += "1," + targets.substr(i, 3) + "\n";
    }
    const auto splits = load(csv, keys);
    CHECK(splits.ok(), error_of(splits));
    return splits.value().train.dataset->task;
  };
  EXPECT_EQ(task_of("001 002 001 002", "target: y"), Task::classification);
  EXPECT_EQ(task_of("001 002 003 002", "target: y"), Task::regression);  // hardly a value twice
  EXPECT_EQ(task_of("0.1 0.1 0.2 0.2", "target: y"), Task::regression);
  EXPECT_EQ(task_of("abc abc def def", "target: y"), Task::classification);
  EXPECT_EQ(task_of("001 002 001 002", "target: y, task: regression"), Task::regression);
  EXPECT_EQ(task_of("0.1 0.1 0.2 0.2", "target: y, task: classification"), Task::classification);
}

TEST_F(LoadCsv, NormalisationKnowsOnlyTheTrainingSplit) {
  std::string csv = "x,constant,colour,y\n";
  for (int i = 0; i < 40; ++i) {
    csv += fmt::format("{},5,{},{}.5\n", i * i, i % 2 == 0 ? "red" : "blue", 3 * i);
  }
  const auto splits = load(csv, "target: y, validation: 0.5").value();
  const auto& normalization = *splits.train.normalization;
  double sum = 0;
  double target_sum = 0;
  for (const std::int64_t sample : splits.train.samples) {
    sum += input_at(splits, sample, 0);
    target_sum += splits.train.dataset->targets[static_cast<std::size_t>(sample)];
  }
  const auto count = static_cast<double>(splits.train.count());
  double squares = 0;
  for (const std::int64_t sample : splits.train.samples) {
    squares += std::pow(input_at(splits, sample, 0) - sum / count, 2);
  }
  EXPECT_NEAR(normalization.shift[0], sum / count, 1e-3);
  EXPECT_NEAR(normalization.scale[0], 1 / std::sqrt(squares / count), 1e-6);
  EXPECT_EQ(normalization.scale[1], 1);                                                           // constant
  EXPECT_THAT((std::vector{normalization.shift[2], normalization.scale[2]}), ElementsAre(0, 1));  // one-hot
  EXPECT_NEAR(normalization.target_shift.at(0), target_sum / count, 1e-3);
  EXPECT_NE(normalization.target_scale.at(0), 1);

  const auto raw = load(csv, "target: y, normalize: false").value();
  EXPECT_THAT(raw.train.normalization->shift, testing::Each(0));
  EXPECT_THAT(raw.train.normalization->target_scale, ElementsAre(1));
}

TEST_F(LoadCsv, MissingCellsAreFilledInFromTheTrainingSplit) {
  std::string csv = "x,colour,y\n,,a\n";
  for (int i = 1; i < 30; ++i) {
    csv += fmt::format("{},{},{}\n", i, i % 4 == 0 ? "blue" : "red", i % 2 == 0 ? "a" : "b");
  }
  const auto splits = load(csv, "target: y, missing: mean, validation: 0.3").value();
  double sum = 0;
  double count = 0;
  for (const std::int64_t sample : splits.train.samples) {
    if (sample != 0) {
      sum += input_at(splits, sample, 0);
      ++count;
    }
  }
  EXPECT_FLOAT_EQ(input_at(splits, 0, 0), static_cast<float>(sum / count));
  EXPECT_THAT((std::vector{input_at(splits, 0, 1), input_at(splits, 0, 2)}), ElementsAre(0, 1));  // red
}

TEST_F(LoadCsv, RowsWithMissingCellsMayBeDropped) {
  const auto splits = load("x,y\n1,a\nNA,b\n2,\n?,a\n3,b\n4,a\n", "target: y, missing: drop").value();
  EXPECT_EQ(splits.train.dataset->count, 3);
  EXPECT_THAT(std::get<1>(splits.train.dataset->inputs), ElementsAre(1, 3, 4));
}

TEST_F(LoadCsv, SeparatorHeaderAndGzipAreUnderstood) {
  write_text(folder_.path() / "t.csv.gz",
             gzipped(folder_.path() / "scratch", "3 names follow\n1\ta\n2\tb\n3\ta\n"));
  const auto splits =
      load_yaml("{format: csv, path: t.csv.gz, target: y, separator: tab, skip_rows: 1, header: [x, y]}",
                folder_.path());
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  EXPECT_EQ(splits.value().train.dataset->count, 3);
  EXPECT_THAT(
      load("1;a\n2;b\n3;a\n", "target: -1, separator: ;, header: false").value().train.dataset->feature_names,
      ElementsAre("column_0"));
}

TEST_F(LoadCsv, MistakesAreToldWithPlaceAndRemedy) {
  const struct {
    const char* csv;
    const char* keys;
    const char* expected;
  } cases[] = {
      {"x,y\n1,a\n,b\n", "target: y", "t.csv:3:1: column 'x' has a missing cell; choose `missing: mean`"},
      {"x,y\n1,a\n2,\n", "target: y, missing: mean", "t.csv:3:3: the target is missing in this row"},
      {"x,y\n,a\n,b\n", "target: y, missing: drop", "t.csv: no row is complete"},
      {"x,y\n,a\n,b\n", "target: y, missing: mean", "t.csv:2:1: column 'x' has no value at all"},
      {"x,y\n1,a\n2o,b\n", "target: y", "t.csv:3:1: '2o' is not a number, but others in column 'x' are"},
      {"x,y\n1,a\nnan,b\n", "target: y",
       "t.csv:3:1: 'nan' is not a finite number; leave a missing cell empty"},
      {"x,y\n1,a\n-inf,b\n", "target: y", "t.csv:3:1: '-inf' is not a finite number"},
      {"x,y\n1,a\n1e99,b\n", "target: y", "t.csv:3:1: '1e99' is not a finite number"},
      {"x,y\n1,1.5\n2,inf\n", "target: y", "t.csv:3:3: 'inf' is not a finite number"},
      {"x,y\n1,a\n2,nan\n", "target: y", "t.csv:3:3: the target 'y' is 'nan', which is no class"},
      {"x,y\n1,1.5\n2,b\n", "target: y", "t.csv:3:3: 'b' is not a number"},
      {"x,y\n1,a\n2,b\n", "target: y, task: regression", "t.csv:2:3: 'a' is not a number"},
      {"x,y\n1,a\n2,a\n", "target: y", "t.csv:2:3: the target 'y' is 'a' in every row"},
      {"x,y\n1,a\n2,b,c\n", "target: y", "t.csv:3:1: 3 cells in this row"},
      {"x,label\n1,a\n2,b\n", "target: labe", "no column 'labe' in"},
      {"x,label\n1,a\n2,b\n", "target: labe", "did you mean 'label'?"},
      {"x,y\n1,a\n2,b\n", "target: 2", "exp.yaml:1:36: column 2: "},
      {"x,y\n1,a\n2,b\n", "target: y, columns: [x, y]", "exp.yaml:1:52: column 'y' is the target"},
      {"x,y\n1,a\n2,b\n", "target: y, columns: [x, 0]", "exp.yaml:1:52: column '0' is listed twice"},
      {"x,z,y\n1,1,a\n2,2,b\n", "target: y, columns: x, categorical: z",
       "column 'z' is not one of the inputs"},
      {"y\na\nb\n", "target: y", "no columns beside the target"},
      {"w,x,y\n1,1,a\n2,2,b\n", "target: [x, y], task: classification",
       "classification has one target column"},
      {"x,y\n1,a\n2,b\n", "limit: 3", "'target' is missing in data"},
      {"x,y\n1,a\n2,b\n", "target: y, separator: ab", "exp.yaml:1:50: expected one character, or tab"},
      {"x,y\n1,a\n2,b\n", "target: y, missing: men", "expected error, mean or drop"},
      {"x,y\n1,a\n2,b\n", "target: y, columns: []", "expected a column's name or number"},
      {"x,y\n1,a\n2,b\n", "target: y, target_column: y", "target_column"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(fmt::format("{} with {}", test.csv, test.keys));
    EXPECT_THAT(error_of(load(test.csv, test.keys)), HasSubstr(test.expected));
  }
}

TEST_F(LoadCsv, AColumnOfNamesIsNoCategory) {
  std::string csv = "name,x,y\n";
  for (int i = 0; i < 1200; ++i) {
    csv += fmt::format("person {},{},{}\n", i, i, i % 2 == 0 ? "a" : "b");
  }
  EXPECT_THAT(error_of(load(csv)), HasSubstr("column 'name' has 1200 different texts"));
}

}  // namespace
}  // namespace regatta
