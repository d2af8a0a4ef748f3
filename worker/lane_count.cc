// Engines are made for their memory's sake only.
#include "worker/lane_count.h"

#include <algorithm>
#include <variant>
#include <vector>

#include "base/log.h"
#include "worker/card_engines.h"

namespace regatta {
namespace {

bool is_number(const Value& value) {
  return std::holds_alternative<double>(value) || std::holds_alternative<std::int64_t>(value);
}

double number_of(const Value& value) {
  const auto* whole = std::get_if<std::int64_t>(&value);
  return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value);
}

// Whole numbers at their upper ends, of choices among numbers the largest, all else in the middle.
Point largest_point(const Space& space) {
  constexpr double kUpperEnd = 1 - 1e-9;
  constexpr double kMiddle = 0.5;
  std::vector<double> unit;
  for (const Parameter& parameter : space.parameters()) {
    unit.push_back(std::holds_alternative<IntDomain>(parameter.domain) ? kUpperEnd : kMiddle);
  }
  Point point = space.unconditional().from_unit(unit);
  for (std::size_t i = 0; i < space.size(); ++i) {
    const auto* choice = std::get_if<ChoiceDomain>(&space.parameters()[i].domain);
    if (choice != nullptr && std::ranges::all_of(choice->choices, is_number)) {
      const auto largest = std::ranges::max_element(choice->choices, {}, number_of);
      point[i] = static_cast<double>(largest - choice->choices.begin());
    }
  }
  point = space.drop_inactive(std::move(point));
  if (!space.allows(point)) {
    const auto allowed = allowed_draws(space, 1);
    point = allowed.empty() ? point : allowed.front();
  }
  return point;
}

// What an engine of so many lanes takes of the card; 0: it cannot be made.
Result<std::uint64_t> engine_bytes(Communicator& communicator, const Experiment& experiment,
                                   const Clock& clock, WorkbenchOptions options, int lanes) {
  options.lanes = lanes;
  const std::uint64_t before = free_card_bytes(options.card->index);
  Workbench bench(communicator, experiment, clock, options);
  ASSIGN_OR_RETURN(const auto refusal, bench.prepare(largest_point(experiment.space)));
  if (refusal) {
    spdlog::info("lanes: auto: {} lanes: {}", lanes, refusal->message);
    return std::uint64_t{0};
  }
  const std::uint64_t after = free_card_bytes(options.card->index);
  return std::max<std::uint64_t>(before > after ? before - after : 0, 1);
}

// The smallest of the ranks' numbers.
Result<int> agreed(Communicator& communicator, int mine) {
  std::vector<int> all(static_cast<std::size_t>(communicator.size()));
  RETURN_IF_ERROR(
      communicator.allgather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all))));
  return *std::ranges::min_element(all);
}

}  // namespace

int lanes_for_memory(std::uint64_t free_bytes, std::uint64_t bytes_of_one, std::uint64_t bytes_of_two) {
  if (bytes_of_two <= bytes_of_one) {
    return bytes_of_two == 0 ? 1 : kMostLanesThatFit;  // a lane takes too little to be measured
  }
  const std::uint64_t usable = free_bytes / 10 * 9;
  const std::uint64_t of_each = bytes_of_two - bytes_of_one;
  const std::uint64_t more = usable > bytes_of_one ? (usable - bytes_of_one) / of_each : 0;
  return static_cast<int>(std::min<std::uint64_t>(1 + more, kMostLanesThatFit));
}

Result<int> lanes_that_fit(Communicator& communicator, const Experiment& experiment, const Clock& clock,
                           const WorkbenchOptions& options) {
  if (!options.card || experiment.section("command") != nullptr) {
    return 1;
  }
  const auto bytes_of = [&](int lanes) {
    return engine_bytes(communicator, experiment, clock, options, lanes);
  };
  spdlog::info("lanes: auto: measuring what one trial and two take of the card");
  // The first also pays for what libraries keep from then on.
  ASSIGN_OR_RETURN([[maybe_unused]] const std::uint64_t first, bytes_of(1));
  ASSIGN_OR_RETURN(const std::uint64_t of_one, bytes_of(1));
  ASSIGN_OR_RETURN(const std::uint64_t of_two, bytes_of(2));
  ASSIGN_OR_RETURN(int lanes, agreed(communicator,
                                     lanes_for_memory(free_card_bytes(options.card->index), of_one, of_two)));
  while (lanes > 2) {  // not all grows evenly
    ASSIGN_OR_RETURN(const std::uint64_t of_all, bytes_of(lanes));
    ASSIGN_OR_RETURN(const int fits, agreed(communicator, of_all > 0 ? 1 : 0));
    if (fits != 0) {
      break;
    }
    lanes /= 2;
  }
  spdlog::info("lanes: auto: {} (one takes {} MiB, a further one {} MiB)", lanes, of_one >> 20,
               (of_two - std::min(of_one, of_two)) >> 20);
  return lanes;
}

}  // namespace regatta
