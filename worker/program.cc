// The ranks meet every few milliseconds and share a few numbers: the leader's answer to its program's report,
// and whose program has ended. So all of them answer, stop and fail together.
#include "worker/program.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <vector>

#include "base/file.h"
#include "worker/agreement.h"
#include "worker/plan.h"
#include "worker/program_group.h"
#include "worker/program_process.h"
#include "worker/program_reports.h"
#include "worker/workbench.h"

namespace regatta {
namespace {

using How = AttemptEnd::How;

constexpr Microseconds kTick = std::chrono::milliseconds(20);
constexpr Microseconds kStragglerLimit = std::chrono::seconds(60);  // once the leader's program has finished

bool was_killed(const std::optional<ExitStatus>& ended) { return ended && ended->signal != 0; }

// What the ranks share: the leader fills in the first words and the others zeros; the last are counts.
class Meeting {
 public:
  void propose(const ProgramReports::Next& next, const ProgramReports& reports) {
    words_[kAnswer] = next.answer ? 1 + static_cast<int>(*next.answer) : 0;
    words_[kLeave] = next.leave ? 1 + static_cast<int>(*next.leave) : 0;
    words_[kLastEpoch] = reports.last_epoch();
    words_[kUntilEpoch] = reports.until_epoch();
    words_[kWaiting] = reports.has_report() ? 1 : 0;
  }
  void count(const std::optional<ExitStatus>& ended, bool has_problem) {
    words_[kFinished] = ended && ended->success() ? 1 : 0;
    words_[kFailed] = has_problem ? 1 : 0;
  }
  Status hold(Communicator& communicator) { return communicator.allreduce(words_); }

  std::optional<ProgramAnswer> answer() const { return choice<ProgramAnswer>(kAnswer); }
  std::optional<How> leave() const { return choice<How>(kLeave); }
  int last_epoch() const { return static_cast<int>(words_[kLastEpoch]); }
  int until_epoch() const { return static_cast<int>(words_[kUntilEpoch]); }
  bool is_waiting() const { return words_[kWaiting] != 0; }
  int finished() const { return static_cast<int>(words_[kFinished]); }
  bool has_failed() const { return words_[kFailed] != 0; }

 private:
  enum Word : std::size_t { kAnswer, kLeave, kLastEpoch, kUntilEpoch, kWaiting, kFinished, kFailed, kWords };

  template <class Choice>
  std::optional<Choice> choice(Word word) const {
    const int number = static_cast<int>(words_[word]);
    return number == 0 ? std::nullopt : std::optional(static_cast<Choice>(number - 1));
  }

  std::array<double, kWords> words_{};
};

class ProgramRun {
 public:
  ProgramRun(Communicator& communicator, const Experiment& experiment, const Clock& clock,
             const ProgramOptions& options, const AttemptOrder& order, AttemptControl* control)
      : communicator_(communicator),
        experiment_(experiment),
        clock_(clock),
        options_(options),
        order_(order),
        control_(control),
        until_epoch_(order.until_epoch) {}

  Result<AttemptEnd> run() {
    ASSIGN_OR_RETURN(const auto problem, first_failure(communicator_, prepare()));
    if (problem) {
      return AttemptEnd{.how = How::failed, .message = *problem};
    }
    if (control_ != nullptr) {
      reports_.emplace(experiment_, clock_, order_, *control_,
                       ProgramReportsOptions{options_.folder, options_.grace, last_epoch_, options_.meter});
    }
    std::optional<AttemptEnd> end;
    while (!end) {
      finished_at_.reset();
      until_at_start_ = until_epoch_;
      ASSIGN_OR_RETURN(const RankPlace place, find_rank_place(communicator_));
      auto program = start(place);
      const Status started = program.ok() ? Status() : Status(program.error());
      ASSIGN_OR_RETURN(const auto refused, first_failure(communicator_, started));
      if (refused) {
        return AttemptEnd{.how = How::failed, .message = *refused};
      }
      ASSIGN_OR_RETURN(end, follow(*program));
    }
    return *end;
  }

 private:
  Status prepare() {
    ASSIGN_OR_RETURN(command_, plan_command(experiment_, order_.point));
    if (!order_.checkpoint.empty()) {
      ASSIGN_OR_RETURN(last_epoch_, read_marker(options_.folder / order_.checkpoint));
    }
    return make_directories(program_folder());
  }

  std::filesystem::path program_folder() const {
    return std::filesystem::absolute(options_.folder / checkpoint_folder(order_.trial) / "program");
  }

  Result<ProgramProcess> start(const RankPlace& place) const {
    const int rank = communicator_.rank();
    std::map<std::string, std::string> variables{
        {"RANK", std::to_string(rank)},
        {"WORLD_SIZE", std::to_string(communicator_.size())},
        {"LOCAL_RANK", std::to_string(place.local_rank)},
        {"LOCAL_WORLD_SIZE", std::to_string(place.local_ranks)},
        {"MASTER_ADDR", place.leader_address},
        {"MASTER_PORT", std::to_string(place.leader_port)},
        {"REGATTA_TRIAL", std::to_string(order_.trial)},
        {"REGATTA_ATTEMPT", std::to_string(order_.attempt)},
        {"REGATTA_SEED", std::to_string(trial_seed(experiment_.seed, order_.trial))},
        {"REGATTA_CHECKPOINT_DIR", program_folder().string()},
        {"REGATTA_RESUME_EPOCH", std::to_string(last_epoch_)},
        {"REGATTA_UNTIL_EPOCH", std::to_string(until_epoch_)},
        // Python would keep a report in its buffer while it waits for the answer.
        {"PYTHONUNBUFFERED", "1"}};
    if (std::getenv("OMP_NUM_THREADS") == nullptr) {
      variables["OMP_NUM_THREADS"] = std::to_string(options_.threads);
    }
    const auto log = std::filesystem::absolute(
        options_.folder / fmt::format("logs/trial-{:05}-rank-{}.log", order_.trial, rank));
    return ProgramProcess::start({.command = command_,
                                  .directory = options_.directory,
                                  .variables = std::move(variables),
                                  .log = log,
                                  .output_log = rank == 0 ? log.string() + ".out" : std::string()});
  }

  // Until the programs have ended. Nothing: they are to be started again.
  Result<std::optional<AttemptEnd>> follow(ProgramProcess& program) {
    int finished = 0;
    while (true) {
      ASSIGN_OR_RETURN(const Meeting meeting, meet(program, finished == communicator_.size()));
      finished = meeting.finished();
      last_epoch_ = meeting.last_epoch();
      until_epoch_ = meeting.until_epoch();
      const bool all_finished = finished == communicator_.size();
      if (meeting.has_failed()) {
        ASSIGN_OR_RETURN(AttemptEnd end, fail(program));
        return std::optional(std::move(end));
      }
      if (meeting.leave()) {
        program.finish(Microseconds(0));
        return std::optional(leave(*meeting.leave()));
      }
      if (const auto answer = meeting.answer()) {
        if (*answer == ProgramAnswer::go_on && all_finished) {
          return std::optional<AttemptEnd>();
        }
        program.answer(answer_line(*answer));
        if (*answer != ProgramAnswer::go_on) {
          program.finish(options_.grace);
          return std::optional(leave(*answer == ProgramAnswer::stop ? How::ordered : How::interrupted));
        }
      } else if (all_finished && !meeting.is_waiting()) {
        return ended_where_granted() ? std::optional<AttemptEnd>() : std::optional(complete());
      }
    }
  }

  // After a tick, or earlier when there is news.
  Result<Meeting> meet(ProgramProcess& program, bool all_finished) {
    const Deadline tick(clock_, kTick);
    Meeting meeting;
    if (reports_) {
      RETURN_IF_ERROR(read_reports(program, tick));
    }
    if (!reports_ || !reports_->has_report()) {
      (void)program.wait(tick.remaining());
    }
    const auto ended = program.ended();
    if (reports_) {
      ASSIGN_OR_RETURN(
          const auto next,
          reports_->decide({.mine_finished = ended.has_value(), .all_finished = all_finished}, kTick));
      meeting.propose(next, *reports_);
    }
    find_problem(program, ended, all_finished);
    meeting.count(ended, !problem_.empty());
    RETURN_IF_ERROR(meeting.hold(communicator_));
    return meeting;
  }

  // A program that prints faster than it can be read must not keep the ranks from meeting.
  Status read_reports(ProgramProcess& program, const Deadline& tick) {
    bool in_time = true;
    while (in_time && !reports_->has_report() && reports_->mistake().empty()) {
      const auto line = program.next_line(tick.remaining());
      if (!line) {
        break;
      }
      ASSIGN_OR_RETURN(const bool is_report, reports_->take(*line));
      if (!is_report) {
        program.keep_output(*line);
      }
      in_time = !tick.passed();
    }
    return {};
  }

  void find_problem(const ProgramProcess& program, const std::optional<ExitStatus>& ended,
                    bool all_finished) {
    if (ended && !ended->success()) {
      const std::string output = program.last_output();
      problem_ = fmt::format("the program {}{}{}", was_killed(ended) ? "was " : "", ended->describe(),
                             output.empty() ? "" : "; its last output:\n" + output);
    } else if (reports_ && !reports_->mistake().empty()) {
      problem_ = reports_->mistake();
    } else if (reports_ && ended && !all_finished) {
      if (!finished_at_) {
        finished_at_ = clock_.monotonic();
      }
      if (clock_.monotonic() - *finished_at_ > kStragglerLimit) {
        problem_ = "the program finished, but those of other ranks were still running a minute later";
      }
    }
  }

  // A program that was killed (out of memory, by hand) may get further the next time. Those of other ranks
  // that fail with it have only lost their peer, and one of them may have been seen first.
  Result<AttemptEnd> fail(ProgramProcess& program) {
    const auto ended = program.wait(kTick);
    find_problem(program, ended, /*all_finished=*/false);
    std::array<double, 1> killed{was_killed(ended) ? 1.0 : 0.0};
    RETURN_IF_ERROR(communicator_.allreduce(killed));
    const bool has_killed = killed[0] != 0;
    const bool is_cause = !problem_.empty() && (!has_killed || was_killed(ended));
    const Status mine = is_cause ? Status(failure(problem_)) : Status();
    ASSIGN_OR_RETURN(const auto problem, first_failure(communicator_, mine));
    program.finish(Microseconds(0));
    return AttemptEnd{.how = has_killed ? How::lost : How::failed, .message = problem.value_or("")};
  }

  // The programs may have been told to go on when they were about to exit, and nobody read it. Those that are
  // started again have a later end: if they add nothing, they are complete.
  bool ended_where_granted() const { return last_epoch_ == until_at_start_ && until_epoch_ > last_epoch_; }

  AttemptEnd complete() const {
    if (last_epoch_ == 0) {
      return {.how = How::failed, .message = "the program ended without a report"};
    }
    return leave(How::complete);
  }

  AttemptEnd leave(How how) const {
    return {.how = how, .checkpoint = reports_ ? reports_->newest_checkpoint() : std::string()};
  }

  Communicator& communicator_;
  const Experiment& experiment_;
  const Clock& clock_;
  const ProgramOptions& options_;
  const AttemptOrder& order_;
  AttemptControl* control_;
  std::vector<std::string> command_;
  std::optional<ProgramReports> reports_;  // on the leader
  int last_epoch_ = 0;                     // whose report counts
  int until_epoch_;
  int until_at_start_ = 0;  // what the running programs know as REGATTA_UNTIL_EPOCH
  std::string problem_;     // of this rank's program
  std::optional<Microseconds> finished_at_;
};

}  // namespace

Result<AttemptEnd> run_program(Communicator& communicator, const Experiment& experiment, const Clock& clock,
                               const ProgramOptions& options, const AttemptOrder& order,
                               AttemptControl* control) {
  return ProgramRun(communicator, experiment, clock, options, order, control).run();
}

}  // namespace regatta
