// A larger crew computes the same trial: its ranks must be able to share the trial's batches and cards.
#include "cli/elastic_plan.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "experiment/section.h"
#include "models/model.h"

namespace regatta {
namespace {

std::int64_t batch_size_of(const Experiment& experiment, const Point& point) {
  const auto train = section_at(experiment, "train", point);
  const Node* const written = train.ok() ? train->find("batch_size") : nullptr;
  const auto size =
      written == nullptr ? Result<std::int64_t>(TrainConfig().batch_size) : read_integer(*written);
  return size.ok() ? *size : 1;  // the trial itself will tell the mistake
}

// Ranks of one crew cannot exchange gradients on one card.
bool crews_share_cards(const Resources& resources) {
  std::set<std::pair<std::string, int>> seen;
  const auto any_seen = [&seen](const std::string& host, const std::vector<int>& cards) {
    return std::ranges::any_of(cards, [&](int card) { return !seen.emplace(host, card).second; });
  };
  const auto shares = [&](const CrewPlace& place) {
    return std::ranges::any_of(place,
                               [&](const PlacedRanks& part) { return any_seen(part.host, part.cards); });
  };
  return std::ranges::any_of(resources.cards,
                             [&](const std::vector<int>& cards) { return any_seen("", cards); }) ||
         std::ranges::any_of(resources.places, shares);
}

bool can_train(const StudyPlan& plan, const Point& point, int slots) {
  const std::int64_t ranks = std::int64_t{slots} * plan.resources.ranks;
  const int shards = plan.training.model ? plan.training.model->train.shards : 0;
  const std::int64_t samples = plan.training.data ? plan.training.data->train_count : ranks;
  return ranks <= batch_size_of(plan.experiment, point) && ranks <= samples &&
         (shards == 0 || shards % ranks == 0) && !crews_share_cards(plan.resources);
}

}  // namespace

std::optional<ElasticOptions> elastic_options(const StudyPlan& plan) {
  const bool trains_network =
      plan.experiment.section("command") == nullptr && !is_table_study(plan.experiment);
  if (!plan.resources.elastic || plan.resources.lanes != 1 || !trains_network) {
    return std::nullopt;
  }
  ElasticOptions options;
  options.fits = [&plan](const Point& point, int slots) { return can_train(plan, point, slots); };
  options.waits_for_exit = [&plan] { return plan.resources.on_cards(); };
  return options;
}

}  // namespace regatta
