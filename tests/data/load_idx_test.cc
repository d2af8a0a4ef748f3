// `data: {format: idx}`: files, splits, normalisation.
#include <gmock/gmock.h>

#include "data/dataset.h"
#include "made_data.h"

namespace regatta {
namespace {

using testing::HasSubstr;

class LoadIdx : public testing::Test {
 protected:
  void SetUp() override {
    write("set/train-images-idx3-ubyte", train_.images);
    write("set/train-labels-idx1-ubyte", train_.labels);
  }
  void write(const std::string& name, std::string_view bytes) {
    ASSERT_TRUE(make_directories((folder_.path() / name).parent_path()).ok());
    write_text(folder_.path() / name, bytes);
  }
  void write_test_files() {
    const auto test = made_images(6, 3);
    write("set/t10k-images-idx3-ubyte.gz", gzipped(folder_.path() / "scratch", test.images));
    write("set/t10k-labels-idx1-ubyte.gz", gzipped(folder_.path() / "scratch", test.labels));
  }
  Result<DataSplits> load(const std::string& yaml) { return load_yaml(yaml, folder_.path()); }

  TemporaryDirectory folder_ = make_folder();
  MadeImages train_ = made_images(40, 4);
};

TEST_F(LoadIdx, FindsTheUsualNamesBesideTheExperiment) {
  write_test_files();
  const auto splits = load("{format: idx, path: set, validation: 0.25}");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  const DataShape shape = shape_of(splits.value());
  EXPECT_EQ(shape.task, Task::classification);
  EXPECT_THAT(shape.sample_shape, testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(shape.outputs, 4);
  EXPECT_EQ(shape.train_count, 30);
  EXPECT_EQ(shape.validation_count, 10);
  EXPECT_EQ(shape.test_count, 6);
}

TEST_F(LoadIdx, WithoutATestFileTheTestIsAShareOrEmpty) {
  EXPECT_EQ(shape_of(load("{format: idx, path: set}").value()).test_count, 0);
  EXPECT_EQ(shape_of(load("{format: idx, path: set, test: 0}").value()).test_count, 0);
  const auto splits = load("{format: idx, path: set, test: 0.5, limit: 8}").value();
  EXPECT_EQ(splits.test.count(), 20);
  EXPECT_EQ(splits.train.count(), 8);
  EXPECT_EQ(splits.validation.count(), 4);
}

TEST_F(LoadIdx, ValidationMayBeLeftOut) {
  const auto splits = load("{format: idx, path: set, validation: 0}");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  EXPECT_EQ(splits.value().train.count(), 40);
  EXPECT_EQ(splits.value().validation.count(), 0);
}

TEST_F(LoadIdx, FilesMayBeNamedOneByOne) {
  write("other/i", made_images(10, 2).images);
  write("other/l", made_images(10, 2).labels);
  EXPECT_EQ(load("{format: idx, train_images: other/i, train_labels: other/l}").value().train.count(), 9);
  EXPECT_EQ(load("{format: idx, path: other, train_images: i, train_labels: l}").value().train.count(), 9);
}

TEST_F(LoadIdx, BytesAreNormalisedOverTheTrainingSplitOnly) {
  const auto splits = load("{format: idx, path: set, validation: 0.5}").value();
  const auto& bytes = std::get<0>(splits.train.dataset->inputs);
  double sum = 0;
  double squares = 0;
  for (const std::int64_t sample : splits.train.samples) {
    for (std::int64_t pixel = 0; pixel < 6; ++pixel) {
      const double value = bytes[static_cast<std::size_t>(sample * 6 + pixel)];
      sum += value;
      squares += value * value;
    }
  }
  const double count = static_cast<double>(splits.train.count()) * 6;
  const double mean = sum / count;
  EXPECT_NEAR(splits.train.normalization->shift.at(0), mean, 1e-4);
  EXPECT_NEAR(splits.train.normalization->scale.at(0), 1 / std::sqrt(squares / count - mean * mean), 1e-4);
  EXPECT_EQ(splits.validation.normalization, splits.train.normalization);

  const auto raw = load("{format: idx, path: set, normalize: false}").value();
  EXPECT_FLOAT_EQ(raw.train.normalization->scale.at(0), 1.0F / 255);
}

TEST_F(LoadIdx, TheSeedDecidesTheSplit) {
  const std::string yaml = "{format: idx, path: set}";
  EXPECT_EQ(load_yaml(yaml, folder_.path(), 1).value().train.samples,
            load_yaml(yaml, folder_.path(), 1).value().train.samples);
  EXPECT_NE(load_yaml(yaml, folder_.path(), 1).value().train.samples,
            load_yaml(yaml, folder_.path(), 2).value().train.samples);
}

TEST_F(LoadIdx, MistakesAreToldWithPlaceAndRemedy) {
  const struct {
    const char* yaml;
    const char* expected;
  } cases[] = {
      {"{path: set}", "exp.yaml:1:1: 'format' is missing in data: idx, csv or text"},
      {"{format: idz, path: set}", "exp.yaml:1:10: expected idx, csv or text"},
      {"{format: idx, path: nowhere}", "nowhere does not exist"},
      {"{format: idx}", "exp.yaml:1:1: idx data needs `path:` (a folder), or `train_images:`"},
      {"{format: idx, path: .}", "exp.yaml:1:21: no train-images-idx3-ubyte (or .gz) in"},
      {"{format: idx, path: set, test_images: set/train-images-idx3-ubyte}",
       "exp.yaml:1:39: there are test images, but no test labels"},
      {"{format: idx, path: set, train_labels: x}", "exp.yaml:1:40: "},
      {"{format: idx, path: set, validation: 1.5}", "exp.yaml:1:38: "},
      {"{format: idx, path: set, validation: -0.1}", "exp.yaml:1:38: "},
      {"{format: idx, path: set, validaton: 0.1}", "exp.yaml:1:26: "},
      {"{format: idx, path: set, target: y}", "exp.yaml:1:26: "},
      {"{format: idx, path: set, limit: 0}", "exp.yaml:1:33: "},
      {"{format: idx, path: set, validation: 0.6, test: 0.6}", "leave none to train on"},
      {"[1, 2]", "exp.yaml:1:1: expected a map"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.yaml);
    EXPECT_THAT(error_of(load(test.yaml)), HasSubstr(test.expected));
  }
}

TEST_F(LoadIdx, ATestShareBesideTestFilesIsRefused) {
  write_test_files();
  EXPECT_THAT(error_of(load("{format: idx, path: set, test: 0.1}")), HasSubstr("leave `test:` out"));
}

TEST_F(LoadIdx, TestImagesOfAnotherSizeAreRefused) {
  write("set/t10k-images-idx3-ubyte", idx_bytes({1, 1, 1}, "x"));
  write("set/t10k-labels-idx1-ubyte", idx_bytes({1}, std::string(1, '\0')));
  EXPECT_THAT(error_of(load("{format: idx, path: set}")), HasSubstr("another size"));
}

TEST(LoadIdxPackage, AMissingFashionMnistNamesItsPackage) {
  EXPECT_THAT(error_of(load_yaml("{format: idx, path: /usr/share/datasets/fashion-mnist-absent}", "/")),
              HasSubstr("install the Debian package dataset-fashion-mnist"));
}

}  // namespace
}  // namespace regatta
