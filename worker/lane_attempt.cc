// The leader alone reads the clock, reports and writes; every rank restores and agrees on what went wrong.
#include "worker/lane_attempt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <utility>

#include "worker/agreement.h"
#include "worker/checkpoint.h"
#include "worker/evaluation.h"

namespace regatta {
namespace {

using How = AttemptEnd::How;

}  // namespace

LaneAttempt::LaneAttempt(Workbench& bench, int lane, AttemptOrder order, AttemptControl* control)
    : bench_(bench), lane_(lane), order_(std::move(order)), control_(control) {}

Result<std::optional<AttemptEnd>> LaneAttempt::begin(MetricSums& sums) {
  has_begun_ = true;
  sums_ = &sums;
  sums = bench_.new_sums();
  patience_ = Patience(bench_.config().train.early_stopping);
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

Status LaneAttempt::restore() {
  bench_.engine().start_lane(lane_, lane_settings(bench_.config(), seed()));
  if (order_.checkpoint.empty()) {
    return {};
  }
  const std::filesystem::path path = bench_.options().folder / order_.checkpoint;
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, load_checkpoint(path));
  if (checkpoint.seed != seed()) {
    return failure(fmt::format(
        "the checkpoint {} belongs to another experiment or trial: it has another seed", path.string()));
  }
  RETURN_IF_ERROR(bench_.engine().restore_lane(lane_, checkpoint.state));
  if (checkpoint.step >= bench_.training().steps_per_epoch() || !restore_sums(checkpoint.sums) ||
      !patience_.restore(checkpoint.early_stopping)) {
    return failure(fmt::format("the checkpoint {} belongs to another experiment", path.string()));
  }
  epoch_ = checkpoint.epoch;
  step_ = checkpoint.step;
  newest_checkpoint_ = order_.checkpoint;
  return {};
}

bool LaneAttempt::restore_sums(const std::vector<std::vector<double>>& rows) {
  const std::span<double> mine = sums_->sums();
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

bool LaneAttempt::is_healthy() const {
  return std::ranges::all_of(sums_->sums(), [](double sum) { return std::isfinite(sum); });
}

Result<std::optional<AttemptEnd>> LaneAttempt::finish_epoch(MetricValues metrics) {
  const Microseconds begin = bench_.clock().monotonic();
  ++epoch_;
  step_ = 0;
  sums_->clear();
  if (patience_.active()) {
    patience_.observe(metric_named(metrics, patience_.metric()));
  }
  ASSIGN_OR_RETURN(const auto unwritten, save());
  if (unwritten) {
    return std::optional(AttemptEnd{.how = How::lost, .message = *unwritten});
  }
  add_time(bench_.clock().monotonic() - begin);
  const std::chrono::duration<double> seconds = std::exchange(spent_, Microseconds(0));
  if (control_ != nullptr) {
    RETURN_IF_ERROR(control_->report({.epoch = static_cast<int>(epoch_),
                                      .metrics = std::move(metrics),
                                      .checkpoint = newest_checkpoint_,
                                      .seconds = seconds.count(),
                                      .card = bench_.card_use()}));
  }
  return patience_.exhausted() ? std::optional(stopped_early()) : std::nullopt;
}

// The leader writes. The sentence why it could not, if so.
Result<std::optional<std::string>> LaneAttempt::save() {
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
    checkpoint.state = bench_.engine().save_lane(lane_);
    saved = save_checkpoint(bench_.options().folder / name, std::move(checkpoint));
  }
  ASSIGN_OR_RETURN(auto unwritten, first_failure(bench_.communicator(), saved));
  if (!unwritten) {
    newest_checkpoint_ = name;
  }
  return unwritten;
}

Result<std::vector<std::vector<double>>> LaneAttempt::gather_sums() {
  const std::span<const double> mine = sums_->sums();
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

Result<AttemptEnd> LaneAttempt::leave(const Decision& decision) {
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

AttemptEnd LaneAttempt::diverged(std::string_view where) const {
  return {.how = How::diverged,
          .message = fmt::format("the {} loss of epoch {} is not finite", where, epoch_ + 1)};
}

AttemptEnd LaneAttempt::stopped_early() const {
  return {.how = How::complete, .checkpoint = newest_checkpoint_, .message = patience_.describe()};
}

}  // namespace regatta
