// `data: {format: text}`: tokens, contexts, labels and contiguous parts.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "data/dataset.h"
#include "data/loader.h"
#include "made_data.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LoadText : public testing::Test {
 protected:
  Result<DataSplits> load(std::string_view text, const std::string& keys) {
    write_text(folder_.path() / "t.txt", text);
    return load_yaml(fmt::format("{{format: text, path: t.txt, {}}}", keys), folder_.path(), 1);
  }
  TemporaryDirectory folder_ = make_folder();
};

TEST_F(LoadText, LabelsAreTheTokensThatFollow) {
  const auto splits = load("abcabd", "context: 2, validation: 0");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  const Dataset& dataset = *splits.value().train.dataset;
  EXPECT_THAT(dataset.class_names, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(dataset.count, 2);  // the last token is only a label
  EXPECT_THAT(std::get<0>(dataset.inputs), ElementsAre(0, 1, 2, 0));
  EXPECT_THAT(dataset.labels, ElementsAre(1, 2, 0, 1));
  const DataShape shape = shape_of(splits.value());
  EXPECT_THAT(shape.sample_shape, ElementsAre(2));
  EXPECT_EQ(shape.positions, 2);
  EXPECT_EQ(shape.outputs, 4);
}

TEST_F(LoadText, PartsAreContiguousAndTheTestIsLast) {
  const std::string text(41, 'x');
  const auto splits = load(text + "yz", "context: 4, validation: 0.2, test: 0.1");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  EXPECT_THAT(splits.value().train.samples, ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(splits.value().validation.samples, ElementsAre(7, 8));
  EXPECT_THAT(splits.value().test.samples, ElementsAre(9));
  EXPECT_THAT(load(text + "yz", "context: 4, limit: 3").value().train.samples, ElementsAre(0, 1, 2));
}

TEST_F(LoadText, BatchesHoldTokenNumbersAndALabelForEach) {
  const auto splits = load("abcabdabcab", "context: 2, validation: 0");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  Loader loader(splits.value().train, {.global_batch = 3, .shuffle = false});
  loader.start_epoch(0);
  const Batch* batch = loader.next();
  EXPECT_EQ(batch->count, 3);
  EXPECT_THAT(batch->inputs, ElementsAre(0, 1, 2, 0, 1, 3));
  EXPECT_THAT(batch->labels, ElementsAre(1, 2, 0, 1, 3, 0));
  batch = loader.next();
  EXPECT_EQ(batch->count, 2);
  EXPECT_THAT(batch->inputs, ElementsAre(0, 1, 2, 0, 0, 0));
  EXPECT_THAT(batch->labels, ElementsAre(1, 2, 0, 1, 0, 0));
}

TEST_F(LoadText, CharactersMayBeLongerThanABytesAndMoreThanABytesValues) {
  EXPECT_THAT(load("aé€aé€a", "context: 2, validation: 0").value().train.dataset->class_names,
              ElementsAre("a", "é", "€"));
  EXPECT_EQ(
      load("aé€aé€a", "context: 2, tokens: bytes, validation: 0").value().train.dataset->class_names.size(),
      6U);
  std::string text;
  for (int i = 0; i < 600; ++i) {
    text +=
        {static_cast<char>(0xE4), static_cast<char>(0x80 + i / 64 % 64), static_cast<char>(0x80 + i % 64)};
  }
  const auto splits = load(text, "context: 10, validation: 0");
  ASSERT_TRUE(splits.ok()) << splits.error().message;
  EXPECT_EQ(splits.value().train.dataset->class_names.size(), 600U);
  Loader loader(splits.value().train, {.global_batch = 59, .shuffle = false});
  loader.start_epoch(0);
  const Batch* batch = loader.next();
  EXPECT_EQ(batch->inputs[589], 589);
  EXPECT_EQ(batch->labels[589], 590);
}

TEST_F(LoadText, MistakesAreToldWithARemedy) {
  const auto message = [&](std::string_view text, const std::string& keys) {
    const auto splits = load(text, keys);
    EXPECT_FALSE(splits.ok());
    return splits.ok() ? "" : splits.error().message;
  };
  EXPECT_THAT(message("ab\nc\xC3(", "context: 2"), HasSubstr("line 2 is not UTF-8; write `tokens: bytes`"));
  EXPECT_THAT(message("abc", "context: 64"), HasSubstr("3 tokens are too few for a context of 64"));
  EXPECT_THAT(message("", "context: 2"), HasSubstr("0 tokens are too few"));
  EXPECT_THAT(message("aaaaaaa", "context: 2"), HasSubstr("every token is the same"));
  EXPECT_THAT(message("abcabc", "context: 2, normalize: true"), HasSubstr("nothing to normalize"));
  EXPECT_THAT(message("abcabc", "context: 2, augment: {mixup: 0.2}"), HasSubstr("nothing to augment"));
  EXPECT_THAT(message("abcabc", "context: 2, validation: 0.9"), HasSubstr("leave none to train on"));
  EXPECT_THAT(message("abcabc", "context: 1"), HasSubstr("expected an integer from 2"));
  EXPECT_THAT(message("abcabc", "tokens: words"), HasSubstr("expected characters or bytes"));
}

}  // namespace
}  // namespace regatta
