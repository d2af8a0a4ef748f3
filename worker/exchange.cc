// Either the rank's own thread sums a bucket as soon as backward has finished it, or a thread beside it does.
#include "worker/exchange.h"

#include <fmt/format.h>

#include "base/log.h"

namespace regatta {
namespace {

constexpr std::size_t kFirstBucketBytes = std::size_t{1} << 20;  // so that the first sum begins early

std::string describe(const ExchangePlan& plan, std::size_t bytes) {
  const std::string size =
      plan.bucket_bytes >= bytes ? "one bucket" : fmt::format("buckets of {} KiB", plan.bucket_bytes / 1024);
  return size + (plan.overlap ? " while backward goes on" : "");
}

}  // namespace

int shared_rows(OptimizerConfig::Kind kind) {
  const FlatRow last = kind == OptimizerConfig::Kind::sgd ? FlatRow::first_moments : FlatRow::second_moments;
  return static_cast<int>(last) + 1;
}

void lend_memory(FloatMemory& memory, int rows, EngineOptions& options) {
  std::span<float>* const buffers[] = {&options.gradients, &options.weights, &options.first_moments,
                                       &options.second_moments};
  for (int row = 0; row < rows; ++row) {
    *buffers[row] = memory.row(row);
  }
  constexpr int kFirst = static_cast<int>(FlatRow::first_moments);
  if (rows > kFirst) {
    options.collect_moments = [&memory, rows] {
      for (int row = kFirst; row < rows; ++row) {
        memory.collect(row);
      }
    };
  }
}

// The coordinator has checked the section.
Wire wire_of(const Experiment& experiment) {
  const Node* const resources = experiment.section("resources");
  const Node* const wire = resources == nullptr ? nullptr : resources->find("wire");
  if (wire == nullptr || wire->text() == "fp32") {
    return Wire::fp32;
  }
  return wire->text() == "bf16" ? Wire::bf16 : Wire::fp16;
}

CrewExchange::CrewExchange(Communicator& communicator, const Clock& clock, FloatMemory& memory, int rows,
                           ExchangeOptions options)
    : communicator_(communicator),
      clock_(clock),
      memory_(memory),
      rows_(rows),
      options_(std::move(options)),
      tuner_(options_.plans) {
  use_plan();
}

void CrewExchange::use_plan() {
  const ExchangePlan& plan = tuner_.plan();
  const std::span<float> gradients = memory_.row(static_cast<int>(FlatRow::gradients));
  thread_.reset();
  reducer_.emplace(
      communicator_, gradients,
      plan_buckets(gradients.size(), plan.bucket_bytes, plan.overlap ? kFirstBucketBytes : plan.bucket_bytes),
      CollectiveOptions{.wire = options_.wire, .threads = plan.overlap ? 1 : options_.threads});
  if (plan.overlap) {
    thread_ = std::make_unique<CommunicationThread>(
        [this](const CommunicationThread::Task& task) { return carry_out(task); });
  }
}

bool CrewExchange::take(WeightUpdate& update) {
  if (rows_ <= static_cast<int>(FlatRow::first_moments)) {
    return false;
  }
  update_ = &update;
  reducer_->begin([this](std::size_t begin, std::size_t end) {
    update_->apply(begin, end);
    memory_.publish(static_cast<int>(FlatRow::weights), begin, end);
  });
  return true;
}

Status CrewExchange::ready(std::size_t floats) { return ask({.kind = kReady, .count = floats}); }

Status CrewExchange::finish() {
  RETURN_IF_ERROR(ask({.kind = kFinish}));
  if (thread_) {
    RETURN_IF_ERROR(thread_->wait());
  }
  const ExchangePlan before = tuner_.plan();
  if (tuner_.step_ended(clock_.monotonic())) {
    RETURN_IF_ERROR(choose());
  }
  const ExchangePlan& now = tuner_.plan();
  if (now.bucket_bytes != before.bucket_bytes || now.overlap != before.overlap) {
    use_plan();
  }
  return {};
}

Status CrewExchange::sum(std::span<float> values) {
  RETURN_IF_ERROR(ask({.kind = kSum, .count = values.size(), .data = values.data()}));
  return thread_ ? thread_->wait() : Status();
}

Status CrewExchange::ask(const CommunicationThread::Task& task) {
  return thread_ ? thread_->ask(task) : carry_out(task);
}

Status CrewExchange::carry_out(const CommunicationThread::Task& task) {
  switch (task.kind) {
    case kReady:
      return reducer_->ready(task.count);
    case kFinish:
      return reducer_->finish();
    default:
      return communicator_.allreduce(std::span<float>(task.data, task.count));
  }
}

// The slowest rank holds up all: but which one that is changes from step to step, so the sum of the times
// decides.
Status CrewExchange::choose() {
  RETURN_IF_ERROR(communicator_.allreduce(tuner_.times()));
  tuner_.choose();
  const std::size_t bytes = memory_.row().size() * sizeof(float);
  std::string others;
  for (std::size_t i = 0; i < options_.plans.size(); ++i) {
    others += fmt::format("{}{}: {:.3f} ms", i == 0 ? "" : ", ", describe(options_.plans[i], bytes),
                          tuner_.times()[i] * 1e3 / communicator_.size());
  }
  if (communicator_.rank() == 0) {
    spdlog::info("gradients of {} KiB are summed in {}; steps took: {}", bytes / 1024,
                 describe(tuner_.plan(), bytes), others);
  }
  return {};
}

}  // namespace regatta
