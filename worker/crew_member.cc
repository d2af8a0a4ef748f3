// Wire messages become orders.
#include "worker/crew_member.h"

#include <cmath>

#include "worker/program.h"
#include "worker/training.h"

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
                       const wire::Welcome& welcome, int threads)
    : communicator_(communicator),
      clock_(clock),
      experiment_(std::move(experiment)),
      folder_(welcome.folder()),
      experiment_folder_(std::filesystem::absolute(welcome.experiment_file()).parent_path()),
      threads_(threads),
      bench_(communicator, experiment_, clock,
             {.folder = folder_, .threads = threads, .max_epochs = welcome.max_epochs()}) {}

Result<std::unique_ptr<CrewMember>> CrewMember::join(Communicator& communicator, const Clock& clock,
                                                     const wire::Welcome& welcome, int threads) {
  ASSIGN_OR_RETURN(Experiment experiment,
                   parse_experiment(welcome.experiment_yaml(), welcome.experiment_file()));
  return std::unique_ptr<CrewMember>(
      new CrewMember(communicator, clock, std::move(experiment), welcome, threads));
}

Result<AttemptEnd> CrewMember::run(const wire::StartAttempt& start, AttemptControl* control) {
  auto point = point_of(start.point(), experiment_.space);
  if (!point) {
    return AttemptEnd{.how = AttemptEnd::How::failed, .message = kOtherSpace};
  }
  const AttemptOrder order{.attempt = start.attempt(),
                           .trial = start.trial(),
                           .point = *std::move(point),
                           .until_epoch = start.until_epoch(),
                           .checkpoint = start.checkpoint()};
  if (!runs_program()) {
    return train(bench_, order, control);
  }
  const ProgramOptions options{.folder = folder_, .directory = experiment_folder_, .threads = threads_};
  return run_program(communicator_, experiment_, clock_, options, order, control);
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
