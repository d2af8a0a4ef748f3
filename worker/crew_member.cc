// Wire messages become orders.
#include "worker/crew_member.h"

#include <cmath>
#include <utility>

#include "worker/card.h"
#include "worker/lane_count.h"
#include "worker/program.h"

namespace regatta {
namespace {

// nullopt: the message does not fit the space, and the coordinator has read another file than this crew.
template <class Numbers>
std::optional<Point> point_of(const Numbers& numbers, const Space& space) {
  Point point;
  for (const double number : numbers) {
    point.push_back(std::isnan(number) ? std::nullopt : std::optional(number));
  }
  return point.size() == space.size() ? std::optional(std::move(point)) : std::nullopt;
}

constexpr const char* kOtherSpace = "the trial's point does not fit the experiment's space";

}  // namespace

CrewMember::CrewMember(Communicator& communicator, const Clock& clock, Experiment experiment,
                       const wire::Welcome& welcome, const Capacity& capacity,
                       const std::optional<Card>& card)
    : communicator_(communicator),
      clock_(clock),
      experiment_(std::move(experiment)),
      folder_(welcome.folder()),
      experiment_folder_(std::filesystem::absolute(welcome.experiment_file()).parent_path()),
      threads_(capacity.threads),
      meter_(card && communicator.rank() == 0 ? std::make_unique<CardMeter>(card->bus) : nullptr),
      bench_(communicator, experiment_, clock,
             {.folder = folder_,
              .threads = capacity.threads,
              .lanes = capacity.lanes,
              .max_epochs = welcome.max_epochs(),
              .meter = meter_.get(),
              .card = card,
              .shares_cards = capacity.ranks_per_gpu.value_or(1) > 1}),
      training_(bench_) {}

Result<std::unique_ptr<CrewMember>> CrewMember::join(Communicator& communicator, const Clock& clock,
                                                     const wire::Welcome& welcome, const Capacity& capacity) {
  ASSIGN_OR_RETURN(Experiment experiment,
                   parse_experiment(welcome.experiment_yaml(), welcome.experiment_file()));
  std::optional<Card> card;
  if (capacity.ranks_per_gpu) {
    ASSIGN_OR_RETURN(card, choose_card(communicator, *capacity.ranks_per_gpu));
  }
  Capacity settled = capacity;
  if (capacity.lanes == 0) {
    ASSIGN_OR_RETURN(settled.lanes, lanes_that_fit(communicator, experiment, clock,
                                                   {.folder = welcome.folder(),
                                                    .threads = capacity.threads,
                                                    .max_epochs = welcome.max_epochs(),
                                                    .card = card,
                                                    .shares_cards = capacity.ranks_per_gpu.value_or(1) > 1}));
  }
  return std::unique_ptr<CrewMember>(
      new CrewMember(communicator, clock, std::move(experiment), welcome, settled, card));
}

bool CrewMember::is_busy() const { return training_.is_busy() || program_ || !refused_.empty(); }

bool CrewMember::has_room() const { return refused_.empty() && !program_ && training_.has_room(); }

void CrewMember::begin(const wire::StartAttempt& start, AttemptControl* control) {
  auto point = point_of(start.point(), experiment_.space);
  if (!point) {
    refused_.push_back({.attempt = start.attempt(),
                        .trial = start.trial(),
                        .end = {.how = AttemptEnd::How::failed, .message = kOtherSpace}});
    return;
  }
  AttemptOrder order{.attempt = start.attempt(),
                     .trial = start.trial(),
                     .point = *std::move(point),
                     .until_epoch = start.until_epoch(),
                     .checkpoint = start.checkpoint()};
  if (runs_program()) {
    program_ = {.order = std::move(order), .control = control};
  } else {
    training_.begin(std::move(order), control);
  }
}

Result<std::vector<EndedAttempt>> CrewMember::advance() {
  if (!refused_.empty()) {
    return std::exchange(refused_, {});
  }
  if (!program_) {
    return training_.advance();
  }
  const Program program = *std::exchange(program_, std::nullopt);
  const ProgramOptions options{
      .folder = folder_, .directory = experiment_folder_, .threads = threads_, .meter = meter_.get()};
  ASSIGN_OR_RETURN(AttemptEnd end,
                   run_program(communicator_, experiment_, clock_, options, program.order, program.control));
  std::vector<EndedAttempt> ended;
  ended.push_back({.attempt = program.order.attempt, .trial = program.order.trial, .end = std::move(end)});
  return ended;
}

Result<Evaluation> CrewMember::evaluate(const wire::EvaluateTrial& order) {
  auto point = point_of(order.point(), experiment_.space);
  if (!point) {
    return Evaluation{.error = kOtherSpace};
  }
  if (runs_program()) {
    return Evaluation{.error = "the model of a program is in its own files: see " +
                               checkpoint_folder(order.trial()) + "/program"};
  }
  return evaluate_trial(bench_, {order.trial(), *std::move(point), order.checkpoint()});
}

}  // namespace regatta
