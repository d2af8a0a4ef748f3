// Reading and drawing; the pixels are changed by the sample writer.
#include "data/augmentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "experiment/section.h"

namespace regatta {
namespace {

std::int64_t read_crop(Section& augment, std::int64_t smallest_side) {
  const Node* node = augment.child("crop");
  if (node == nullptr) {
    return 0;
  }
  const IntegerRule rule{.fallback = 0, .min = 0, .max = smallest_side - 1};
  if (node->is_scalar()) {
    return augment.integer("crop", rule);
  }
  Section crop(*node, "crop");
  const std::int64_t padding = crop.integer("padding", {.min = rule.min, .max = rule.max});
  if (const Status status = crop.finish(); !status.ok()) {
    augment.fail(status.error());
  }
  return padding;
}

constexpr double kLeastMixup = 0.001;  // the logarithms of a draw from Beta(α, α) stay finite

void read_image_changes(Section& section, std::span<const std::int64_t> shape, Augmentation& augmentation) {
  if (shape.size() != 3) {
    for (const char* key : {"flip", "crop", "cutout"}) {
      if (const Node* node = section.child(key)) {
        section.mistake(node->place(),
                        fmt::format("'{}' is for images, and these samples are none; leave it out", key));
      }
    }
    return;
  }
  const std::int64_t smallest_side = std::min(shape[1], shape[2]);
  const std::string flip = section.choice("flip", {"none", "horizontal", "vertical", "both"}, "none");
  augmentation.flip_horizontally = flip == "horizontal" || flip == "both";
  augmentation.flip_vertically = flip == "vertical" || flip == "both";
  augmentation.crop_padding = read_crop(section, smallest_side);
  augmentation.cutout = section.integer("cutout", {.fallback = 0, .min = 0, .max = smallest_side});
}

ImageChange::Range cut_around(std::uint64_t centre, std::int64_t side, std::int64_t size) {
  const std::int64_t begin = static_cast<std::int64_t>(centre) - side / 2;
  return {std::max<std::int64_t>(begin, 0), std::min(begin + side, size)};
}

}  // namespace

Result<Augmentation> read_augmentation(const Node& data, std::span<const std::int64_t> sample_shape) {
  Augmentation augmentation;
  const Node* node = data.find("augment");
  if (node == nullptr) {
    return augmentation;
  }
  Section section(*node, "augment");
  read_image_changes(section, sample_shape, augmentation);
  augmentation.mixup = section.number("mixup", {.fallback = 0.0, .min = 0, .max = 1});
  if (augmentation.mixup > 0 && augmentation.mixup < kLeastMixup) {
    section.mistake(section.child("mixup")->place(),
                    fmt::format("mixup is 0 or at least {}: below, hardly a sample is mixed", kLeastMixup));
  }
  RETURN_IF_ERROR(section.finish());
  return augmentation;
}

Node without_augmentation(const Node& data) {
  if (!data.is_map()) {
    return data;
  }
  std::vector<Node::Entry> entries;
  std::ranges::copy_if(data.entries(), std::back_inserter(entries),
                       [](const Node::Entry& entry) { return entry.key != "augment"; });
  return Node::map(data.place(), std::move(entries));
}

std::string describe(const Augmentation& augmentation) {
  std::vector<std::string> parts;
  if (augmentation.flip_horizontally) {
    parts.emplace_back("horizontal flip");
  }
  if (augmentation.flip_vertically) {
    parts.emplace_back("vertical flip");
  }
  if (augmentation.crop_padding > 0) {
    parts.push_back(fmt::format("crop with padding {}", augmentation.crop_padding));
  }
  if (augmentation.cutout > 0) {
    parts.push_back(fmt::format("cutout {0}×{0}", augmentation.cutout));
  }
  if (augmentation.mixup > 0) {
    parts.push_back(fmt::format("mixup {}", augmentation.mixup));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

AugmentationDraws::AugmentationDraws(std::uint64_t seed, std::int64_t epoch, std::int64_t sample)
    : random_(stream(seed)
                  .substream(static_cast<std::uint64_t>(epoch))
                  .substream(static_cast<std::uint64_t>(sample))) {}

ImageChange AugmentationDraws::image(const Augmentation& augmentation, const ImageSize& size) const {
  ImageChange change;
  change.flip_y = augmentation.flip_vertically && random_.below(Draw::flip_y, 2) == 1;
  change.flip_x = augmentation.flip_horizontally && random_.below(Draw::flip_x, 2) == 1;
  if (const std::int64_t padding = augmentation.crop_padding; padding > 0) {
    const auto places = static_cast<std::uint64_t>(2 * padding + 1);
    change.shift_y = static_cast<std::int64_t>(random_.below(Draw::crop_y, places)) - padding;
    change.shift_x = static_cast<std::int64_t>(random_.below(Draw::crop_x, places)) - padding;
  }
  if (augmentation.cutout > 0) {
    const std::uint64_t centre_y = random_.below(Draw::cut_y, static_cast<std::uint64_t>(size.height));
    const std::uint64_t centre_x = random_.below(Draw::cut_x, static_cast<std::uint64_t>(size.width));
    change.cut_y = cut_around(centre_y, augmentation.cutout, size.height);
    change.cut_x = cut_around(centre_x, augmentation.cutout, size.width);
  }
  return change;
}

// Jöhnk 1964: with u, v uniform and x = u^(1/α), y = v^(1/α), x / (x + y) is from Beta(α, α), given that
// x + y ≤ 1, which holds at least every second time for α ≤ 1. In logarithms, because x and y underflow where
// α is small.
double AugmentationDraws::share(double alpha) const {
  CHECK(alpha > 0 && alpha <= 1);
  for (std::uint64_t i = Draw::first_share;; i += 2) {
    const double log_x = std::log1p(-random_.uniform(i)) / alpha;
    const double log_y = std::log1p(-random_.uniform(i + 1)) / alpha;
    const double larger = std::max(log_x, log_y);
    const double log_sum = larger + std::log1p(std::exp(std::min(log_x, log_y) - larger));
    if (log_sum <= 0) {
      return std::exp(larger - log_sum);
    }
  }
}

std::int64_t AugmentationDraws::partner(std::int64_t row, std::int64_t rows) const {
  if (rows <= 1) {
    return row;
  }
  const auto others = static_cast<std::uint64_t>(rows - 1);
  return (row + 1 + static_cast<std::int64_t>(random_.below(Draw::partner_row, others))) % rows;
}

}  // namespace regatta
