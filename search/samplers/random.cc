// One substream a trial: what a trial is given depends on its number, not on how many were drawn before.
#include "search/samplers/random.h"

#include "search/samplers/distinct.h"

namespace regatta {
namespace {

class RandomSampler final : public Sampler {
 public:
  explicit RandomSampler(const SearchContext& context)
      : space_(context.space),
        points_(context.seed, "random sampler"),
        leftovers_(context.seed, "random sampler, leftovers"),
        distinct_(*context.space) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    const auto key = static_cast<std::uint64_t>(number);
    const Random random = points_.substream(key);
    const auto draw = [&](std::uint64_t attempt) {
      std::vector<double> unit(space_->size());
      for (std::size_t i = 0; i < unit.size(); ++i) {
        unit[i] = random.uniform(attempt * unit.size() + i);
      }
      return space_->from_unit(unit);
    };
    return distinct_.choose(history, draw, leftovers_.substream(key));
  }

 private:
  const Space* space_;
  Random points_;
  Random leftovers_;
  DistinctPoints distinct_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_random(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the random sampler");
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Sampler>(std::make_unique<RandomSampler>(context));
}

}  // namespace regatta
