// The grid is listed once; a trial's number is its place in the list.
#include "search/samplers/grid.h"

namespace regatta {
namespace {

constexpr std::uint64_t kMaxGridPoints = 1'000'000;

class Grid final : public Sampler {
 public:
  explicit Grid(std::vector<Point> points) : points_(std::move(points)) {}

  std::optional<Point> propose(std::span<const Trial>, int number) override {
    const auto index = static_cast<std::size_t>(number);
    return index < points_.size() ? std::optional(points_[index]) : std::nullopt;
  }

 private:
  std::vector<Point> points_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_grid(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the grid sampler");
  RETURN_IF_ERROR(section.finish());
  ASSIGN_OR_RETURN(std::vector<Point> points, grid_points(*context.space, kMaxGridPoints));
  return std::unique_ptr<Sampler>(std::make_unique<Grid>(std::move(points)));
}

}  // namespace regatta
