// Everything that a resumed attempt needs is in the checkpoint or follows from it: data order from the epoch,
// dropout from seed and step count, the schedule from epoch and step.
#include "worker/training.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/text.h"
#include "base/trace.h"
#include "worker/agreement.h"
#include "worker/checkpoint.h"
#include "worker/evaluation.h"
#include "worker/patience.h"
#include "worker/steering.h"

namespace regatta {
namespace {

using How = AttemptEnd::How;

double metric_named(const MetricValues& metrics, std::string_view name) {
  for (const auto& [metric, value] : metrics) {
    if (metric == name) {
      return value;
    }
  }
  return std::nan("");
}

class Training {
 public:
  Training(Workbench& bench, const AttemptOrder& order, AttemptControl* control)
      : bench_(bench),
        order_(order),
        control_(control),
        steering_(bench.communicator(), control, bench.clock(), order.until_epoch),
        sums_(bench.new_sums()),
        patience_(bench.config().train.early_stopping) {}

  // Nothing: restored on every rank.
  Result<std::optional<AttemptEnd>> begin() {
    ASSIGN_OR_RETURN(const auto problem, first_failure(bench_.communicator(), restore()));
    if (problem) {
      return std::optional(AttemptEnd{.how = How::failed, .message = *problem});
    }
    if (patience_.exhausted()) {  // ended after this checkpoint, but the word of it was lost
      return std::optional(stopped_early());
    }
    if (order_.until_epoch <= epoch_) {
      return std::optional(AttemptEnd{
          .how = How::failed,
          .message = fmt::format("asked to train until epoch {} from epoch {}", order_.until_epoch, epoch_)});
    }
    return std::optional<AttemptEnd>();
  }

  Result<AttemptEnd> run() {
    std::optional<AttemptEnd> end;
    while (!end) {
      ASSIGN_OR_RETURN(const Decision decision, steering_.wait_beyond(epoch_));
      if (decision.action != Decision::Action::go_on) {
        return leave(decision);
      }
      const Microseconds begin = bench_.clock().monotonic();
      ASSIGN_OR_RETURN(end, train_steps());
      if (!end) {
        ASSIGN_OR_RETURN(end, finish_epoch(begin));
      }
    }
    return *end;
  }

 private:
  std::uint64_t seed() const { return trial_seed(bench_.experiment().seed, order_.trial); }

  Status restore() {
    bench_.engine().start_lane(0, lane_settings(bench_.config(), seed()));
    if (order_.checkpoint.empty()) {
      return {};
    }
    const std::filesystem::path path = bench_.options().folder / order_.checkpoint;
    ASSIGN_OR_RETURN(const Checkpoint checkpoint, load_checkpoint(path));
    if (checkpoint.seed != seed()) {
      return failure(fmt::format(
          "the checkpoint {} belongs to another experiment or trial: it has another seed", path.string()));
    }
    RETURN_IF_ERROR(bench_.engine().restore_lane(0, checkpoint.state));
    if (checkpoint.step >= bench_.training().steps_per_epoch() || !restore_sums(checkpoint.sums) ||
        !patience_.restore(checkpoint.early_stopping)) {
      return failure(fmt::format("the checkpoint {} belongs to another experiment", path.string()));
    }
    epoch_ = checkpoint.epoch;
    step_ = checkpoint.step;
    newest_checkpoint_ = order_.checkpoint;
    return {};
  }

  bool restore_sums(const std::vector<std::vector<double>>& rows) {
    const std::span<double> mine = sums_.sums();
    const auto rank = static_cast<std::size_t>(bench_.communicator().rank());
    const bool same_ranks = rows.size() == static_cast<std::size_t>(bench_.communicator().size());
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (rows[row].size() != mine.size()) {
        return false;
      }
      // With another number of ranks the leader carries all of them.
      if (same_ranks ? row == rank : rank == 0) {
        std::ranges::transform(mine, rows[row], mine.begin(), std::plus<>());
      }
    }
    return true;
  }

  Result<std::optional<AttemptEnd>> train_steps() {
    Loader& loader = bench_.training();
    const auto steps = static_cast<double>(loader.steps_per_epoch());
    loader.start_epoch(epoch_, step_);
    steering_.begin_steps();
    while (step_ < loader.steps_per_epoch()) {
      const bool healthy = std::ranges::all_of(sums_.sums(), [](double sum) { return std::isfinite(sum); });
      ASSIGN_OR_RETURN(const Steering::View view, steering_.at_step(epoch_, healthy));
      if (!view.healthy) {
        return std::optional(diverged("training"));
      }
      if (view.decision.action != Decision::Action::go_on) {
        ASSIGN_OR_RETURN(AttemptEnd end, leave(view.decision));
        return std::optional(std::move(end));
      }
      const Batch* batch = next_batch(loader);
      CHECK(batch != nullptr);
      const TrainStep step{.epoch = static_cast<double>(epoch_) + static_cast<double>(step_) / steps,
                           .exchange = bench_.exchange(),
                           .sums = {&sums_, 1}};
      RETURN_IF_ERROR(bench_.engine().train(view_of(*batch, bench_.first_row()), step));
      ++step_;
    }
    return std::optional<AttemptEnd>();
  }

  static const Batch* next_batch(Loader& loader) {
    const TraceSpan span("input");
    return loader.next();
  }

  Result<std::optional<AttemptEnd>> finish_epoch(Microseconds begin) {
    MetricValues metrics;
    RETURN_IF_ERROR(bench_.communicator().allreduce(sums_.sums()));
    append_metrics(metrics, "train_", sums_.result());
    sums_.clear();
    if (!std::isfinite(metric_named(metrics, "train_loss"))) {
      return std::optional(diverged("training"));
    }
    if (bench_.validation() != nullptr) {
      ASSIGN_OR_RETURN(const MetricSums measured, measure(bench_, *bench_.validation()));
      append_metrics(metrics, "val_", measured.result());
      if (!std::isfinite(metric_named(metrics, "val_loss"))) {
        return std::optional(diverged("validation"));
      }
    }
    ++epoch_;
    step_ = 0;
    if (patience_.active()) {
      patience_.observe(metric_named(metrics, patience_.metric()));
    }
    ASSIGN_OR_RETURN(const auto unwritten, save());
    if (unwritten) {
      return std::optional(AttemptEnd{.how = How::lost, .message = *unwritten});
    }
    const std::chrono::duration<double> seconds = bench_.clock().monotonic() - begin;
    if (control_ != nullptr) {
      RETURN_IF_ERROR(control_->report({.epoch = static_cast<int>(epoch_),
                                        .metrics = std::move(metrics),
                                        .checkpoint = newest_checkpoint_,
                                        .seconds = seconds.count()}));
    }
    return patience_.exhausted() ? std::optional(stopped_early()) : std::nullopt;
  }

  // All ranks; the leader writes. The sentence why it could not, if so.
  Result<std::optional<std::string>> save() {
    const std::string name = checkpoint_name(order_, epoch_, step_) + ".safetensors";
    Checkpoint checkpoint{.trial = order_.trial,
                          .epoch = epoch_,
                          .step = step_,
                          .seed = seed(),
                          .early_stopping = patience_.state()};
    if (step_ > 0) {
      ASSIGN_OR_RETURN(checkpoint.sums, gather_sums());
    }
    Status saved;
    if (bench_.is_leader()) {
      checkpoint.state = bench_.engine().save_lane(0);
      saved = save_checkpoint(bench_.options().folder / name, std::move(checkpoint));
    }
    ASSIGN_OR_RETURN(auto unwritten, first_failure(bench_.communicator(), saved));
    if (!unwritten) {
      newest_checkpoint_ = name;
    }
    return unwritten;
  }

  Result<std::vector<std::vector<double>>> gather_sums() {
    const std::span<const double> mine = sums_.sums();
    const auto ranks = static_cast<std::size_t>(bench_.communicator().size());
    std::vector<double> all(mine.size() * ranks);
    RETURN_IF_ERROR(
        bench_.communicator().allgather(std::as_bytes(mine), std::as_writable_bytes(std::span(all))));
    std::vector<std::vector<double>> rows;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      const auto row = all.begin() + static_cast<std::ptrdiff_t>(rank * mine.size());
      rows.emplace_back(row, row + static_cast<std::ptrdiff_t>(mine.size()));
    }
    return rows;
  }

  Result<AttemptEnd> leave(const Decision& decision) {
    if (decision.action == Decision::Action::end) {
      return AttemptEnd{.how = How::ordered};
    }
    if (step_ > 0) {
      ASSIGN_OR_RETURN(const auto unwritten, save());
      if (unwritten) {
        return AttemptEnd{.how = How::lost, .message = *unwritten};
      }
    }
    return AttemptEnd{.how = How::interrupted, .checkpoint = newest_checkpoint_};
  }

  AttemptEnd diverged(std::string_view where) const {
    return {.how = How::diverged,
            .message = fmt::format("the {} loss of epoch {} is not finite", where, epoch_ + 1)};
  }

  AttemptEnd stopped_early() const {
    return {.how = How::complete, .checkpoint = newest_checkpoint_, .message = patience_.describe()};
  }

  Workbench& bench_;
  const AttemptOrder& order_;
  AttemptControl* control_;
  Steering steering_;
  MetricSums sums_;  // of this rank's samples in the steps done of this epoch
  Patience patience_;
  std::int64_t epoch_ = 0;  // finished
  std::int64_t step_ = 0;   // done of the next epoch
  std::string newest_checkpoint_;
};

}  // namespace

Result<AttemptEnd> train(Workbench& bench, const AttemptOrder& order, AttemptControl* control) {
  ASSIGN_OR_RETURN(const auto refusal, bench.prepare(order.point));
  if (refusal) {
    return AttemptEnd{.how = refusal->how, .message = refusal->message};
  }
  Training training(bench, order, control);
  ASSIGN_OR_RETURN(auto end, training.begin());
  if (end) {
    return *std::move(end);
  }
  return training.run();
}

}  // namespace regatta
