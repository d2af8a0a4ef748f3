// Two engines are made for their memory's sake only.
#include "worker/lane_count.h"

#include <algorithm>
#include <array>
#include <variant>
#include <vector>

#include "base/log.h"
#include "worker/card_engines.h"

namespace regatta {
namespace {

Point largest_point(const Space& space) {
  constexpr double kUpperEnd = 1 - 1e-9;
  constexpr double kMiddle = 0.5;
  std::vector<double> unit;
  for (const Parameter& parameter : space.parameters()) {
    unit.push_back(std::holds_alternative<IntDomain>(parameter.domain) ? kUpperEnd : kMiddle);
  }
  Point point = space.from_unit(unit);
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
  const std::uint64_t before = free_card_bytes();
  Workbench bench(communicator, experiment, clock, options);
  ASSIGN_OR_RETURN(const auto refusal, bench.prepare(largest_point(experiment.space)));
  if (refusal) {
    spdlog::info("lanes: auto: {}", refusal->message);
    return std::uint64_t{0};
  }
  const std::uint64_t after = free_card_bytes();
  return before > after ? before - after : std::uint64_t{0};
}

}  // namespace

int lanes_for_memory(std::uint64_t free_bytes, std::uint64_t bytes_of_one, std::uint64_t bytes_of_two) {
  if (bytes_of_one == 0 || bytes_of_two <= bytes_of_one) {
    return bytes_of_two == 0 ? 1 : kMostLanesThatFit;  // too little to be measured
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
  std::array<std::uint64_t, 2> bytes{};
  for (int lanes = 1; lanes <= 2; ++lanes) {
    ASSIGN_OR_RETURN(bytes[static_cast<std::size_t>(lanes - 1)],
                     engine_bytes(communicator, experiment, clock, options, lanes));
  }
  const int mine = lanes_for_memory(free_card_bytes(), bytes[0], bytes[1]);
  std::vector<int> all(static_cast<std::size_t>(communicator.size()));
  RETURN_IF_ERROR(
      communicator.allgather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all))));
  const int lanes = *std::ranges::min_element(all);
  spdlog::info("lanes: auto: {} (one takes {} MiB, each further one {} MiB)", lanes, bytes[0] >> 20,
               (bytes[1] - std::min(bytes[0], bytes[1])) >> 20);
  return lanes;
}

}  // namespace regatta
