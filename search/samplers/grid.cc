// The grid is listed once; a trial is given the first point of the list that no trial before it has.
#include "search/samplers/grid.h"

#include "search/samplers/seen.h"

namespace regatta {
namespace {

constexpr std::uint64_t kMaxGridPoints = 1'000'000;

class Grid final : public Sampler {
 public:
  explicit Grid(std::vector<Point> points) : points_(std::move(points)) {}

  std::optional<Point> propose(std::span<const Trial> history, int) override {
    if (!seen_.follow(history)) {
      next_ = 0;
    }
    while (next_ < points_.size() && seen_.contains(points_[next_])) {
      ++next_;
    }
    return next_ < points_.size() ? std::optional(points_[next_]) : std::nullopt;
  }

 private:
  std::vector<Point> points_;
  SeenPoints seen_;
  std::size_t next_ = 0;  // all points before it have been seen in the history given last
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_grid(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the grid sampler");
  RETURN_IF_ERROR(section.finish());
  ASSIGN_OR_RETURN(std::vector<Point> points, grid_points(*context.space, kMaxGridPoints));
  return std::unique_ptr<Sampler>(std::make_unique<Grid>(std::move(points)));
}

}  // namespace regatta
