// Random changes of training samples. What is done to a sample is a function of (seed, epoch, sample), so
// that it depends neither on the number of ranks nor on the order of the batches.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/random.h"
#include "base/result.h"
#include "experiment/node.h"

namespace regatta {

struct Augmentation {
  bool flip_horizontally = false;  // with probability 1/2
  bool flip_vertically = false;    // likewise
  std::int64_t crop_padding =
      0;                    // a window of the image's size, anywhere in the image with so many zeros around
  std::int64_t cutout = 0;  // a square of this side becomes the mean; parts of it may lie outside (DeVries
                            // and Taylor 2017)
  double mixup = 0;         // α: shares are from Beta(α, α); 0: samples stay unmixed (Zhang et al. 2018)

  bool changes_images() const {
    return flip_horizontally || flip_vertically || crop_padding > 0 || cutout > 0;
  }
  bool operator==(const Augmentation&) const = default;
};

// `augment:` of the `data:` section:
//   flip     none | horizontal | vertical | both
//   crop     {padding: 4}, or the number alone
//   cutout   pixels
//   mixup    α, at most 1
// Without it nothing is changed. All but mixup need images.
Result<Augmentation> read_augmentation(const Node& data, std::span<const std::int64_t> sample_shape);

// The `data:` section without it: sections that differ in nothing else describe the same data.
Node without_augmentation(const Node& data);

// "horizontal flip, crop with padding 4, cutout 8×8, mixup 0.2"; empty where nothing is changed.
std::string describe(const Augmentation& augmentation);

// What is done to one image: output (y, x) is input (y or, flipped, height - 1 - y, + shift_y; likewise x),
// zero outside, but for the rectangle that is cut out.
struct ImageChange {
  bool flip_y = false;
  bool flip_x = false;
  std::int64_t shift_y = 0;
  std::int64_t shift_x = 0;
  struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
  };
  Range cut_y;  // empty: nothing is cut out
  Range cut_x;
};

struct ImageSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
};

// The draws for one sample in one epoch. (data/cuda/resident_feed.cu makes the same ones on a device.)
class AugmentationDraws {
 public:
  AugmentationDraws(std::uint64_t seed, std::int64_t epoch, std::int64_t sample);

  // Its substream for an epoch, and that one's for a sample, are what is drawn from.
  static Random stream(std::uint64_t seed) { return Random(seed, "augmentation"); }
  // Each kind of draw has an index of its own, so that one is not changed by another being switched on.
  enum Draw : std::uint64_t { flip_y, flip_x, crop_y, crop_x, cut_y, cut_x, partner_row, first_share };

  ImageChange image(const Augmentation& augmentation, const ImageSize& size) const;
  // mixup: this sample's share, at least 1/2: a sample mixed with a smaller share of another one is as likely
  // as the reverse.
  double share(double alpha) const;
  // mixup: whom the sample at `row` of a batch of `rows` is mixed with: another one, if there is any.
  std::int64_t partner(std::int64_t row, std::int64_t rows) const;

 private:
  Random random_;
};

}  // namespace regatta
