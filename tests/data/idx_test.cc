// IDX files: what they hold, and one damage each.
#include "data/idx.h"

#include <gmock/gmock.h>

#include "made_data.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Idx, ReadsSizesAndElements) {
  const auto array = parse_idx(idx_bytes({2, 3}, "abcdef"), "file");
  ASSERT_TRUE(array.ok()) << array.error().message;
  EXPECT_THAT(array.value().sizes, ElementsAre(2, 3));
  EXPECT_THAT(array.value().elements, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
}

TEST(Idx, ADamagedFileIsNamedWithWhatIsWrong) {
  const std::string good = idx_bytes({2, 3}, "abcdef");
  const struct {
    const char* damage;
    std::string bytes;
    const char* expected;
  } cases[] = {
      {"empty", "", "not an IDX file"},
      {"another magic", "PK\x03\x04" + good, "not an IDX file"},
      {"floats", good.substr(0, 2) + '\x0D' + good.substr(3), "elements of type 0x0d"},
      {"no sizes", std::string("\0\0\x08\0", 4), "0 sizes; expected 1 to 4"},
      {"many sizes", std::string("\0\0\x08\x09", 4), "9 sizes; expected 1 to 4"},
      {"cut in the header", good.substr(0, 7), "cut short within its header"},
      {"cut in the elements", good.substr(0, good.size() - 1),
       "cut short: its sizes 2 × 3 need 6 bytes, but 5 follow"},
      {"too long", good + "x", "too long: its sizes 2 × 3 need 6 bytes, but 7 follow"},
      {"sizes beyond all memory", idx_bytes({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "a"), "impossible sizes"},
      {"sizes beyond the file", idx_bytes({0xFFFFFFFF, 0x7FFFFFFF}, "a"), "cut short"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.damage);
    const auto array = parse_idx(test.bytes, "train-images");
    ASSERT_FALSE(array.ok());
    EXPECT_THAT(array.error().message, testing::StartsWith("train-images: "));
    EXPECT_THAT(array.error().message, HasSubstr(test.expected));
    EXPECT_EQ(array.error().kind, Error::Kind::user_mistake);
  }
}

class IdxDataset : public testing::Test {
 protected:
  Result<Dataset> read(std::string_view images, std::string_view labels,
                       std::optional<std::int64_t> classes = {}) {
    write_text(folder_.path() / "images", images);
    write_text(folder_.path() / "labels", labels);
    return read_idx_dataset({folder_.path() / "images", folder_.path() / "labels"}, classes);
  }
  TemporaryDirectory folder_ = make_folder();
};

TEST_F(IdxDataset, PairsImagesWithLabels) {
  const auto made = made_images(5, 3);
  const auto dataset = read(made.images, made.labels);
  ASSERT_TRUE(dataset.ok()) << dataset.error().message;
  EXPECT_EQ(dataset.value().count, 5);
  EXPECT_EQ(dataset.value().sample_size(), 6);
  EXPECT_THAT(dataset.value().sample_shape, ElementsAre(1, 2, 3));
  EXPECT_THAT(dataset.value().labels, ElementsAre(0, 1, 2, 0, 1));
  EXPECT_THAT(dataset.value().class_names, ElementsAre("0", "1", "2"));
  EXPECT_EQ(std::get<0>(dataset.value().inputs)[7], 2);
}

TEST_F(IdxDataset, FourSizesAreImagesWithChannels) {
  const auto dataset = read(idx_bytes({2, 3, 1, 2}, "abcdefghijkl"), idx_bytes({2}, std::string("\0\1", 2)));
  ASSERT_TRUE(dataset.ok()) << dataset.error().message;
  EXPECT_THAT(dataset.value().sample_shape, ElementsAre(3, 1, 2));
}

TEST_F(IdxDataset, GzippedFilesAreReadAlike) {
  const auto made = made_images(5, 3);
  const auto scratch = folder_.path() / "scratch";
  const auto dataset = read(gzipped(scratch, made.images), gzipped(scratch, made.labels));
  ASSERT_TRUE(dataset.ok()) << dataset.error().message;
  EXPECT_EQ(dataset.value().inputs, read(made.images, made.labels).value().inputs);
}

TEST_F(IdxDataset, ACutOrDamagedGzipFileIsRefused) {
  const auto made = made_images(50, 3);
  const std::string whole = gzipped(folder_.path() / "scratch", made.images);
  const auto cut = read(whole.substr(0, whole.size() / 2), made.labels);
  ASSERT_FALSE(cut.ok());
  EXPECT_THAT(cut.error().message, HasSubstr("images: the gzip data is damaged or cut short"));
  std::string damaged = whole;
  damaged[damaged.size() - 6] ^= 0x55;  // in the checksum
  EXPECT_THAT(read(damaged, made.labels).error().message, HasSubstr("damaged or cut short"));
}

TEST_F(IdxDataset, ImagesAndLabelsThatDoNotFitAreRefused) {
  const auto made = made_images(5, 3);
  const auto other = made_images(4, 3);
  const std::string labels = (folder_.path() / "labels").string();
  EXPECT_THAT(read(made.images, other.labels).error().message, HasSubstr(labels + ": 4 labels, but "));
  EXPECT_THAT(read(made.images, other.labels).error().message, HasSubstr("holds 5 images"));
  EXPECT_THAT(read(made.labels, made.labels).error().message, HasSubstr("Are these the labels?"));
  EXPECT_THAT(read(made.images, made.images).error().message, HasSubstr("Are these the images?"));
  EXPECT_THAT(read(made.images, made_images(5, 1).labels).error().message, HasSubstr("at least 2 classes"));
  EXPECT_THAT(read(made.images, made.labels, 2).error().message,
              HasSubstr("label 2, but the training labels end at 1"));
  EXPECT_THAT(read(idx_bytes({0, 2, 3}, ""), idx_bytes({0}, "")).error().message,
              HasSubstr("no images in it"));
}

}  // namespace
}  // namespace regatta
