// Real data sets that Debian packages ship.
#include <gmock/gmock.h>

#include "data/dataset.h"
#include "data/loader.h"
#include "made_data.h"

namespace regatta {
namespace {

constexpr const char* kFashionMnist = "/usr/share/datasets/fashion-mnist";
const std::filesystem::path kSklearn = "/usr/lib/python3/dist-packages/sklearn/datasets/data";

TEST(FashionMnist, HasItsKnownShape) {
  if (!std::filesystem::exists(kFashionMnist)) {
    GTEST_SKIP() << "install the Debian package dataset-fashion-mnist";
  }
  const auto splits = load_yaml(std::string("{format: idx, path: ") + kFashionMnist + "}", "/");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  const DataShape shape = shape_of(splits.value());
  EXPECT_THAT(shape.sample_shape, testing::ElementsAre(1, 28, 28));
  EXPECT_EQ(shape.outputs, 10);
  EXPECT_EQ(shape.train_count, 54000);
  EXPECT_EQ(shape.validation_count, 6000);
  EXPECT_EQ(shape.test_count, 10000);
  std::vector<int> per_class(10);
  for (const std::int64_t sample : splits.value().validation.samples) {
    ++per_class[static_cast<std::size_t>(
        splits.value().validation.dataset->labels[static_cast<std::size_t>(sample)])];
  }
  EXPECT_THAT(per_class, testing::Each(600));
  // The well-known mean 0.286 and deviation 0.353 of its pixels in [0, 1].
  EXPECT_NEAR(splits.value().train.normalization->shift[0] / 255, 0.286, 0.001);
  EXPECT_NEAR(1 / splits.value().train.normalization->scale[0] / 255, 0.353, 0.001);

  Loader loader(splits.value().train, {.global_batch = 256});
  loader.start_epoch(0);
  int batches = 0;
  while (loader.next() != nullptr) {
    ++batches;
  }
  EXPECT_EQ(batches, 54000 / 256);
}

class Sklearn : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kSklearn)) {
      GTEST_SKIP() << "install the Debian package python3-sklearn";
    }
  }
  DataShape shape(const std::string& file, const std::string& keys) {
    const auto splits =
        load_yaml("{format: csv, path: " + (kSklearn / file).string() + ", " + keys + "}", "/");
    CHECK(splits.ok(), error_of(splits));
    return shape_of(splits.value());
  }
};

// The first line of these files is no header: it counts rows and columns and names the classes.
TEST_F(Sklearn, ClassificationTablesLoad) {
  const std::string keys = "target: -1, skip_rows: 1, header: false";
  const DataShape iris = shape("iris.csv", "target: species, skip_rows: 1, header: [a, b, c, d, species]");
  EXPECT_EQ(iris.sample_shape, std::vector<std::int64_t>{4});
  EXPECT_EQ(iris.outputs, 3);
  EXPECT_EQ(iris.train_count, 135);
  const DataShape wine = shape("wine_data.csv", keys);
  EXPECT_EQ(wine.sample_shape, std::vector<std::int64_t>{13});
  EXPECT_EQ(wine.outputs, 3);
  const DataShape cancer = shape("breast_cancer.csv", keys);
  EXPECT_EQ(cancer.sample_shape, std::vector<std::int64_t>{30});
  EXPECT_EQ(cancer.outputs, 2);
  const DataShape digits = shape("digits.csv.gz", "target: -1, header: false");
  EXPECT_EQ(digits.sample_shape, std::vector<std::int64_t>{64});
  EXPECT_EQ(digits.outputs, 10);
  EXPECT_EQ(digits.train_count + digits.validation_count, 1797);
}

TEST_F(Sklearn, RegressionTablesLoad) {
  const DataShape boston = shape("boston_house_prices.csv", "target: MEDV, skip_rows: 1");
  EXPECT_EQ(boston.task, Task::regression);
  EXPECT_EQ(boston.sample_shape, std::vector<std::int64_t>{13});
  const DataShape diabetes =
      shape("diabetes_data_raw.csv.gz", "target: [0, 9], separator: ' ', header: false");
  EXPECT_EQ(diabetes.task, Task::regression);
  EXPECT_EQ(diabetes.outputs, 2);
}

}  // namespace
}  // namespace regatta
