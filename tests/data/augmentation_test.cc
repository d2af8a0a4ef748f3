// Random changes of samples: what is drawn, what becomes of the pixels, and that ranks agree on it.
#include "data/augmentation.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "data/loader.h"
#include "data/normalization.h"
#include "data/sample_writer.h"
#include "made_data.h"

namespace regatta {
namespace {

const std::vector<std::int64_t> kImage = {2, 5, 7};
const ImageSize kSize{.height = 5, .width = 7};

Result<Augmentation> read(const std::string& yaml, const std::vector<std::int64_t>& shape = kImage) {
  return read_augmentation(parse_yaml(yaml, "exp.yaml").value(), shape);
}

TEST(Augmentation, ReadsEveryKey) {
  EXPECT_EQ(read("{}").value(), Augmentation{});
  EXPECT_EQ(read("augment: {}").value(), Augmentation{});
  EXPECT_EQ(read("augment: {flip: horizontal, crop: 4, cutout: 3, mixup: 0.2}").value(),
            (Augmentation{.flip_horizontally = true, .crop_padding = 4, .cutout = 3, .mixup = 0.2}));
  EXPECT_EQ(read("augment: {flip: both, crop: {padding: 2}}").value(),
            (Augmentation{.flip_horizontally = true, .flip_vertically = true, .crop_padding = 2}));
  EXPECT_EQ(read("augment: {flip: none, crop: 0, cutout: 0, mixup: 0}").value(), Augmentation{});
  EXPECT_EQ(read("augment: {mixup: 1}", {4}).value(), Augmentation{.mixup = 1});
}

TEST(Augmentation, IsDescribedInWords) {
  EXPECT_EQ(describe(Augmentation{}), "");
  EXPECT_EQ(describe(read("augment: {flip: both, crop: 4, cutout: 3, mixup: 0.2}").value()),
            "horizontal flip, vertical flip, crop with padding 4, cutout 3×3, mixup 0.2");
}

TEST(Augmentation, SectionsThatDifferInNothingElseAreTheSameData) {
  const auto rest = [](const std::string& yaml) {
    return to_yaml(without_augmentation(parse_yaml(yaml, "exp.yaml").value()));
  };
  EXPECT_EQ(rest("{path: a, augment: {crop: 4}, limit: 3}"), rest("{path: a, limit: 3}"));
  EXPECT_NE(rest("{path: a}"), rest("{path: b}"));
}

struct Mistake {
  std::string yaml;
  std::vector<std::int64_t> shape;
  std::string message;
};
void PrintTo(const Mistake& mistake, std::ostream* stream) { *stream << mistake.yaml; }
using AugmentationMistakes = testing::TestWithParam<Mistake>;

TEST_P(AugmentationMistakes, AreToldWithPlaceAndRemedy) {
  const auto augmentation = read(GetParam().yaml, GetParam().shape);
  ASSERT_FALSE(augmentation.ok());
  EXPECT_THAT(augmentation.error().message, testing::StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, AugmentationMistakes,
    testing::Values(Mistake{"augment: flip", kImage, "exp.yaml:1:10: "},
                    Mistake{"augment: {flp: both}", kImage, "exp.yaml:1:11: unknown key 'flp' in augment"},
                    Mistake{"augment: {flip: left}", kImage,
                            "exp.yaml:1:17: expected none, horizontal, vertical or both"},
                    Mistake{"augment: {crop: 5}", kImage,
                            "exp.yaml:1:17: expected an integer from 0 to 4 for 'crop'"},
                    Mistake{"augment: {crop: {pad: 5}}", kImage, "exp.yaml:1:18: unknown key 'pad' in crop"},
                    Mistake{"augment: {cutout: 6}", kImage, "exp.yaml:1:19: expected an integer from 0 to 5"},
                    Mistake{"augment: {mixup: 1.5}", kImage, "exp.yaml:1:18: expected a number"},
                    Mistake{"augment: {cutout: 2}", {4}, "exp.yaml:1:19: 'cutout' is for images"}));

TEST(Augmentation, DrawsAreAFunctionOfSeedEpochAndSample) {
  const Augmentation everything{.flip_horizontally = true, .crop_padding = 4, .cutout = 3, .mixup = 0.2};
  const auto drawn = [&](std::uint64_t seed, std::int64_t epoch, std::int64_t sample) {
    const AugmentationDraws draws(seed, epoch, sample);
    const ImageChange change = draws.image(everything, {100, 100});
    return std::vector<double>{
        static_cast<double>(change.shift_y),     static_cast<double>(change.shift_x),
        static_cast<double>(change.cut_y.begin), static_cast<double>(change.cut_x.begin),
        draws.share(everything.mixup),           static_cast<double>(draws.partner(0, 1000))};
  };
  EXPECT_EQ(drawn(1, 2, 3), drawn(1, 2, 3));
  EXPECT_NE(drawn(1, 2, 3), drawn(2, 2, 3));
  EXPECT_NE(drawn(1, 2, 3), drawn(1, 3, 3));
  EXPECT_NE(drawn(1, 2, 3), drawn(1, 2, 4));
}

TEST(Augmentation, EveryFlipShiftAndPlaceOfTheSquareIsAsLikely) {
  const Augmentation everything{
      .flip_horizontally = true, .flip_vertically = true, .crop_padding = 1, .cutout = 3};
  constexpr int kDraws = 20000;
  std::map<std::vector<std::int64_t>, int> flips_and_shifts;
  std::map<std::int64_t, int> rows;
  for (int sample = 0; sample < kDraws; ++sample) {
    const ImageChange change = AugmentationDraws(1, 0, sample).image(everything, kSize);
    ++flips_and_shifts[{change.flip_y, change.flip_x, change.shift_y, change.shift_x}];
    ++rows[change.cut_y.end - change.cut_y.begin == 3 ? change.cut_y.begin : -change.cut_y.end];
    EXPECT_GE(change.cut_x.begin, 0);
    EXPECT_LE(change.cut_x.end, kSize.width);
  }
  EXPECT_EQ(flips_and_shifts.size(), 36U);
  for (const auto& [what, count] : flips_and_shifts) {
    EXPECT_NEAR(count, kDraws / 36, 5 * std::sqrt(kDraws / 36));
  }
  EXPECT_EQ(rows.size(), 5U);  // a centre in each row of the image
  for (const auto& [what, count] : rows) {
    EXPECT_NEAR(count, kDraws / 5, 5 * std::sqrt(kDraws / 5));
  }
}

TEST(Augmentation, SharesAreTheLargerPartsOfABetaDistribution) {
  constexpr int kDraws = 20000;
  for (const double alpha : {1e-4, 0.2, 0.5, 1.0}) {
    double squares = 0;
    double smallest = 1;
    double largest = 0;
    for (int sample = 0; sample < kDraws; ++sample) {
      const double share = AugmentationDraws(1, 0, sample).share(alpha);
      squares += (share - 0.5) * (share - 0.5) / kDraws;
      smallest = std::min(smallest, share);
      largest = std::max(largest, share);
    }
    EXPECT_GE(smallest, 0.5);
    EXPECT_LE(largest, 1.0);
    EXPECT_NEAR(squares, 1 / (4 * (2 * alpha + 1)), 0.004) << alpha;  // the variance of Beta(α, α)
  }
}

TEST(Augmentation, APartnerIsAnyOtherRowOfTheBatch) {
  constexpr std::int64_t kRows = 6;
  std::map<std::int64_t, int> partners;
  for (std::int64_t sample = 0; sample < 5000; ++sample) {
    ++partners[AugmentationDraws(1, 0, sample).partner(2, kRows)];
  }
  EXPECT_EQ(partners.size(), 5U);
  EXPECT_FALSE(partners.contains(2));
  for (const auto& [row, count] : partners) {
    EXPECT_TRUE(row >= 0 && row < kRows);
    EXPECT_NEAR(count, 1000, 5 * std::sqrt(1000));
  }
  EXPECT_EQ(AugmentationDraws(1, 0, 1).partner(0, 1), 0);
}

Dataset made_images() {
  Dataset dataset;
  dataset.sample_shape = kImage;
  dataset.count = 12;
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < 12 * 70; ++i) {
    pixels.push_back(static_cast<std::uint8_t>(1 + i % 251));
  }
  dataset.inputs = std::move(pixels);
  dataset.class_names = {"a", "b", "c"};
  for (int i = 0; i < 12; ++i) {
    dataset.labels.push_back(i % 3);
  }
  return dataset;
}
const Normalization kNormalization{.shift = {10, 20}, .scale = {0.5, 0.25}};

TEST(Augmentation, PixelsAreFlippedMovedAndCutOut) {
  const Dataset dataset = made_images();
  const SampleWriter writer(dataset, kNormalization);
  const auto& bytes = std::get<std::vector<std::uint8_t>>(dataset.inputs);
  const Augmentation everything{
      .flip_horizontally = true, .flip_vertically = true, .crop_padding = 4, .cutout = 3};
  for (std::int64_t epoch = 0; epoch < 200; ++epoch) {
    const ImageChange change = AugmentationDraws(3, epoch, 1).image(everything, kSize);
    std::vector<float> inputs(70, -99);
    writer.write_changed(1, change, inputs.data());
    for (std::int64_t c = 0; c < 2; ++c) {
      for (std::int64_t y = 0; y < 5; ++y) {
        for (std::int64_t x = 0; x < 7; ++x) {
          const std::int64_t from_y = (change.flip_y ? 4 - y : y) + change.shift_y;
          const std::int64_t from_x = (change.flip_x ? 6 - x : x) + change.shift_x;
          const bool inside = from_y >= 0 && from_y < 5 && from_x >= 0 && from_x < 7;
          const int raw = inside ? bytes[static_cast<std::size_t>(70 + (c * 5 + from_y) * 7 + from_x)] : 0;
          const bool cut = y >= change.cut_y.begin && y < change.cut_y.end && x >= change.cut_x.begin &&
                           x < change.cut_x.end;
          const float expected =
              cut ? 0 : (static_cast<float>(raw) - (c == 0 ? 10.0F : 20.0F)) * (c == 0 ? 0.5F : 0.25F);
          ASSERT_EQ(inputs[static_cast<std::size_t>((c * 5 + y) * 7 + x)], expected)
              << "epoch " << epoch << " at " << c << ", " << y << ", " << x;
        }
      }
    }
  }
}

TEST(Augmentation, AnUnchangedImageIsWrittenAsItIs) {
  const Dataset dataset = made_images();
  const SampleWriter writer(dataset, kNormalization);
  std::vector<float> plain(70);
  std::vector<float> changed(70);
  writer.write_inputs(5, plain.data());
  writer.write_changed(5, {}, changed.data());
  EXPECT_EQ(plain, changed);
}

Split split_of(Dataset dataset, Normalization normalization) {
  Split split;
  for (std::int64_t i = 0; i < dataset.count; ++i) {
    split.samples.push_back(i);
  }
  split.dataset = std::make_shared<const Dataset>(std::move(dataset));
  split.normalization = std::make_shared<const Normalization>(std::move(normalization));
  return split;
}

// Everything that an epoch's batches hold, the ranks' rows of each batch one behind the other.
std::vector<std::vector<float>> epoch_of(const Split& split, LoaderOptions options, int ranks) {
  std::vector<std::vector<float>> batches;
  for (int rank = 0; rank < ranks; ++rank) {
    options.rank = rank;
    options.ranks = ranks;
    Loader loader(split, options);
    loader.start_epoch(2);
    for (std::size_t step = 0; const Batch* batch = loader.next(); ++step) {
      batches.resize(std::max(batches.size(), step + 1));
      const auto used = static_cast<std::size_t>(batch->count);
      const std::size_t sample = batch->inputs.size() / static_cast<std::size_t>(loader.batch_capacity());
      for (std::size_t row = 0; row < used; ++row) {
        auto& whole = batches[step];
        whole.insert(whole.end(), batch->inputs.begin() + static_cast<long>(row * sample),
                     batch->inputs.begin() + static_cast<long>((row + 1) * sample));
        whole.push_back(static_cast<float>(batch->labels[row]));
        whole.push_back(static_cast<float>(batch->other_labels[row]));
        whole.push_back(batch->label_shares[row]);
      }
    }
  }
  return batches;
}

TEST(Augmentation, TheRanksTogetherGetTheBatchesOfOneRank) {
  const Split split = split_of(made_images(), kNormalization);
  const LoaderOptions options{
      .seed = 7,
      .global_batch = 5,
      .augmentation = {.flip_horizontally = true, .crop_padding = 2, .cutout = 2, .mixup = 0.5}};
  const auto expected = epoch_of(split, options, 1);
  ASSERT_EQ(expected.size(), 2U);
  for (const int ranks : {2, 3, 5}) {
    EXPECT_EQ(epoch_of(split, options, ranks), expected) << ranks << " ranks";
  }
}

TEST(Augmentation, MixedRowsAreWeightedMeansOfTwoSamplesOfTheirBatch) {
  Dataset dataset;
  dataset.sample_shape = {1};
  dataset.count = 40;
  std::vector<float> inputs;
  for (int i = 0; i < 40; ++i) {
    inputs.push_back(static_cast<float>(i));
    dataset.labels.push_back(i);
    dataset.class_names.push_back(std::to_string(i));
  }
  dataset.inputs = std::move(inputs);
  Normalization normalization = without_normalization(dataset);
  Loader loader(split_of(std::move(dataset), std::move(normalization)),
                {.global_batch = 8, .augmentation = {.mixup = 1}});
  loader.start_epoch(0);
  while (const Batch* batch = loader.next()) {
    const std::set<std::int32_t> members(batch->labels.begin(), batch->labels.end());
    for (std::size_t row = 0; row < 8; ++row) {
      const float share = batch->label_shares[row];
      EXPECT_TRUE(members.contains(batch->other_labels[row]));
      EXPECT_NE(batch->other_labels[row], batch->labels[row]);
      EXPECT_FLOAT_EQ(batch->inputs[row], share * static_cast<float>(batch->labels[row]) +
                                              (1 - share) * static_cast<float>(batch->other_labels[row]));
    }
  }
}

TEST(Augmentation, MixesTargetsAsItMixesInputs) {
  Dataset dataset;
  dataset.task = Task::regression;
  dataset.sample_shape = {1};
  dataset.count = 8;
  dataset.inputs = std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7};
  dataset.target_names = {"t"};
  dataset.targets = {0, 10, 20, 30, 40, 50, 60, 70};
  Normalization normalization = without_normalization(dataset);
  Loader loader(split_of(std::move(dataset), std::move(normalization)),
                {.global_batch = 8, .augmentation = {.mixup = 1}});
  loader.start_epoch(0);
  const Batch* batch = loader.next();
  ASSERT_NE(batch, nullptr);
  EXPECT_THAT(batch->other_labels, testing::IsEmpty());
  EXPECT_THAT(batch->label_shares, testing::IsEmpty()) << "shares are of labels";
  int mixed = 0;
  for (std::size_t row = 0; row < 8; ++row) {
    EXPECT_NEAR(batch->targets[row], 10 * batch->inputs[row], 1e-4);
    mixed += batch->inputs[row] != std::round(batch->inputs[row]) ? 1 : 0;
  }
  EXPECT_GE(mixed, 6);
}

TEST(Augmentation, PlainBatchesHaveOneLabelARow) {
  Loader loader(split_of(made_images(), kNormalization), {.global_batch = 4});
  loader.start_epoch(0);
  const Batch* batch = loader.next();
  ASSERT_NE(batch, nullptr);
  EXPECT_THAT(batch->other_labels, testing::IsEmpty());
  EXPECT_THAT(batch->label_shares, testing::IsEmpty());
}

}  // namespace
}  // namespace regatta
