// Makes the sampler and the scheduler once, so that a mistake in their options is found before anything
// starts.
#include "search/search.h"

#include <fmt/format.h>

#include <limits>

#include "search/known_points.h"

namespace regatta {
namespace {

Result<Typed> read_named(Section& section, const char* key, const char* fallback) {
  if (const Node* node = section.child(key); node != nullptr) {
    return read_typed(*node, key);
  }
  return Typed{fallback, section.place(), Node::map(section.place(), {})};
}

Result<StopRule> read_stop(const Node* node) {
  StopRule stop;
  if (node == nullptr) {
    return stop;
  }
  Section section(*node, "stop");
  const auto trials = section.optional_integer("trials", {.min = 1, .max = std::numeric_limits<int>::max()});
  if (trials) {
    stop.trials = static_cast<int>(*trials);
  }
  stop.hours = section.optional_number("hours", {.min = 0, .min_excluded = true});
  stop.target = section.optional_number("target");
  RETURN_IF_ERROR(section.finish());
  return stop;
}

Result<std::vector<LearnFrom>> read_learn_from(const Node* node) {
  std::vector<LearnFrom> studies;
  if (node == nullptr) {
    return studies;
  }
  for (const Node& item : node->is_sequence() ? node->items() : std::vector<Node>{*node}) {
    if (!item.is_scalar() || item.text().empty()) {
      return mistake_at(
          item.place(),
          fmt::format("expected the folder of a study to learn from, such as runs/other, not {}",
                      item.describe()));
    }
    studies.push_back({.study = item.text(), .place = item.place()});
  }
  return studies;
}

// Without a stop rule a study ends with the whole grid, or with one round of the scheduler.
Status set_natural_end(SearchConfig& config, const Space& space, const Scheduler& scheduler,
                       const Place& place) {
  if (sampler_covers_space(config.sampler.type)) {
    if (const auto points = space.cardinality()) {
      config.stop.trials = static_cast<int>(*points);
    }
    return {};  // a grid too entangled to be counted still ends with its last point
  }
  if (scheduler.trials_per_round() == 0) {
    return mistake_at(place,
                      "the study would never end: give search.stop, such as {trials: 100} or {hours: 2}");
  }
  config.stop.trials = scheduler.trials_per_round();
  return {};
}

}  // namespace

SearchContext search_context(const Experiment& experiment, const SearchConfig& config) {
  return {.space = &experiment.space,
          .seed = experiment.seed,
          .objectives = experiment.objectives.size(),
          .known = config.known,
          .trials = config.stop.trials,
          .earlier = config.earlier};
}

Result<SearchConfig> read_search(const Experiment& experiment) {
  const Node node = experiment.section_or_empty("search");
  Section section(node, "search");
  const auto sampler = section.take(read_named(section, "sampler", "auto"));
  const auto scheduler = section.take(read_named(section, "scheduler", "fifo"));
  const auto stop = section.take(read_stop(section.child("stop")));
  std::vector<Point> known;
  if (const Node* const first = section.child("try"); first != nullptr) {
    known = section.take(read_known_points(*first, experiment.space, experiment.seed)).value_or(known);
  }
  const auto learn_from = section.take(read_learn_from(section.child("learn_from")));
  RETURN_IF_ERROR(section.finish());

  SearchConfig config{.sampler = *sampler,
                      .scheduler = *scheduler,
                      .stop = *stop,
                      .known = std::move(known),
                      .learn_from = *learn_from,
                      .earlier = {}};
  const SearchContext context = search_context(experiment, config);
  RETURN_IF_ERROR(make_sampler(config.sampler, context));
  ASSIGN_OR_RETURN(const auto planned, make_scheduler(config.scheduler, context));
  if (!config.stop.trials && !config.stop.hours && !config.stop.target) {
    RETURN_IF_ERROR(set_natural_end(config, experiment.space, *planned, node.place()));
  }
  return config;
}

}  // namespace regatta
