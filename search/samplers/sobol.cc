// Trial n is point n of the sequence, counting only those that the requirements allow.
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
        return allowed_point(key);
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
  // The allowed point `rank` of the sequence; one that is not allowed when they are too rare.
  Point allowed_point(std::uint64_t rank) {
    if (space_->requirements().empty()) {
      return space_->from_unit(sequence_.point(rank));
    }
    while (allowed_.size() <= rank) {
      const std::uint64_t begin = allowed_.empty() ? 0 : allowed_.back() + 1;
      std::uint64_t index = begin;
      while (index < begin + kMaxRefused && !space_->allows(space_->from_unit(sequence_.point(index)))) {
        ++index;
      }
      allowed_.push_back(index);
    }
    return space_->from_unit(sequence_.point(allowed_[rank]));
  }

  static constexpr std::uint64_t kMaxRefused = 20000;  // in a row

  const Space* space_;
  SobolSequence sequence_;
  std::vector<std::uint64_t> allowed_;  // places in the sequence, as far as they have been looked for
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
