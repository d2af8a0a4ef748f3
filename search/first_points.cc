// A sampler around a sampler. Which point is next follows from the history alone.
#include "search/first_points.h"

#include <algorithm>

#include "search/earlier.h"
#include "search/samplers/seen.h"

namespace regatta {
namespace {

// A study that resembles this one shows it by its very best points; one that does not costs so many trials.
constexpr std::size_t kEarlierPoints = 4;

class FirstPoints final : public Sampler {
 public:
  FirstPoints(std::unique_ptr<Sampler> sampler, std::vector<Point> known, std::vector<Point> earlier)
      : sampler_(std::move(sampler)), known_(std::move(known)), earlier_(std::move(earlier)) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    seen_.follow(history);
    if (const Point* point = first_open(known_)) {
      return *point;
    }
    const int turn = number - static_cast<int>(known_.size());
    if (turn >= 0 && turn % 2 == 0 && turn < 2 * static_cast<int>(earlier_.size())) {
      if (const Point* point = first_open(earlier_)) {
        return *point;
      }
    }
    return sampler_->propose(history, number);
  }

 private:
  const Point* first_open(const std::vector<Point>& points) const {
    const auto open = std::find_if(points.begin(), points.end(),
                                   [&](const Point& point) { return !seen_.contains(point); });
    return open != points.end() ? &*open : nullptr;
  }

  std::unique_ptr<Sampler> sampler_;
  std::vector<Point> known_;
  std::vector<Point> earlier_;
  SeenPoints seen_;
};

}  // namespace

std::unique_ptr<Sampler> with_first_points(std::unique_ptr<Sampler> sampler, const SearchContext& context) {
  std::vector<Point> earlier =
      promising_points(*context.space, rank_earlier(context.earlier), kEarlierPoints);
  if (context.known.empty() && earlier.empty()) {
    return sampler;
  }
  return std::make_unique<FirstPoints>(std::move(sampler), context.known, std::move(earlier));
}

}  // namespace regatta
