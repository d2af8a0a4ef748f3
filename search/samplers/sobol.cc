// Trial n is point n of the sequence.
#include "search/samplers/sobol.h"

#include <fmt/format.h>

#include "search/samplers/distinct.h"
#include "search/samplers/sobol_sequence.h"

namespace regatta {
namespace {

class Sobol final : public Sampler {
 public:
  explicit Sobol(const SearchContext& context)
      : space_(context.space),
        sequence_(context.space->size(), Random(context.seed, "sobol sampler")),
        redraws_(context.seed, "sobol sampler, redraws"),
        leftovers_(context.seed, "sobol sampler, leftovers"),
        distinct_(*context.space) {}

  std::optional<Point> propose(std::span<const Trial> history, int number) override {
    const auto key = static_cast<std::uint64_t>(number);
    const Random redraw = redraws_.substream(key);
    const auto draw = [&](std::uint64_t attempt) {
      if (attempt == 0) {
        return space_->from_unit(sequence_.point(key));
      }
      std::vector<double> unit(space_->size());
      for (std::size_t i = 0; i < unit.size(); ++i) {
        unit[i] = redraw.uniform(attempt * unit.size() + i);
      }
      return space_->from_unit(unit);
    };
    return distinct_.choose(history, draw, leftovers_.substream(key));
  }

 private:
  const Space* space_;
  SobolSequence sequence_;
  Random redraws_;
  Random leftovers_;
  DistinctPoints distinct_;
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_sobol(const Typed& config, const SearchContext& context) {
  Section section(config.options, "the sobol sampler");
  RETURN_IF_ERROR(section.finish());
  if (context.space->size() > SobolSequence::kMaxDimensions) {
    return mistake_at(config.place,
                      fmt::format("the sobol sampler takes at most {} parameters, the space has {}; "
                                  "choose random",
                                  SobolSequence::kMaxDimensions, context.space->size()));
  }
  return std::unique_ptr<Sampler>(std::make_unique<Sobol>(context));
}

}  // namespace regatta
