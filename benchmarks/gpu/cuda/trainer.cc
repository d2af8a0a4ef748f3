// The engine as a worker has it, with a feed that also marks when steps begin and end.
#include "trainer.h"

#include <utility>

namespace regatta::cuda {

// Hands on to another feed. The engine keeps its stream to itself, so the times are taken where it asks for
// batches.
class StepTimer final : public BatchFeed {
 public:
  static Result<std::unique_ptr<StepTimer>> make(std::unique_ptr<BatchFeed> feed) {
    auto timer = std::make_unique<StepTimer>();
    timer->feed_ = std::move(feed);
    ASSIGN_OR_RETURN(timer->begin_, TimedEvent::create());
    ASSIGN_OR_RETURN(timer->end_, TimedEvent::create());
    return timer;
  }

  void time_next(int steps) { missing_ = steps_ = steps; }
  Result<double> seconds() const { return seconds_between(begin_.get(), end_.get()); }

  bool is_mixed(const BatchView& batch) const override { return feed_->is_mixed(batch); }
  Status stage(const BatchView& batch, cudaStream_t stream) override {
    if (missing_ > 0 && missing_ == steps_) {
      RETURN_IF_ERROR(check(cudaEventRecord(begin_.get(), stream), "marking the first step"));
    }
    return feed_->stage(batch, stream);
  }
  Status enqueue(const DeviceBatch& to, std::int64_t rows, const StepStart& start,
                 cudaStream_t stream) override {
    return feed_->enqueue(to, rows, start, stream);
  }
  Status enqueued(cudaStream_t stream) override {
    RETURN_IF_ERROR(feed_->enqueued(stream));
    if (missing_ > 0 && --missing_ == 0) {
      return check(cudaEventRecord(end_.get(), stream), "marking the last step");
    }
    return {};
  }

 private:
  std::unique_ptr<BatchFeed> feed_;
  TimedEvent begin_;
  TimedEvent end_;
  int steps_ = 0;
  int missing_ = 0;
};

namespace {

std::size_t free_device_bytes() {
  std::size_t free = 0;
  std::size_t total = 0;
  cudaMemGetInfo(&free, &total);
  return free;
}

}  // namespace

Result<std::unique_ptr<Trainer>> Trainer::make(Shared& shared, const TrainerOptions& options,
                                               int warm_up_steps) {
  auto trainer = std::unique_ptr<Trainer>(new Trainer());
  const std::size_t before = free_device_bytes();
  RETURN_IF_ERROR(trainer->build(shared, options));
  for (int i = 0; i < warm_up_steps; ++i) {
    RETURN_IF_ERROR(trainer->step());
  }
  RETURN_IF_ERROR(trainer->engine_->finish());
  const std::size_t after = free_device_bytes();
  trainer->device_bytes_ = before > after ? before - after : 0;
  return trainer;
}

Status Trainer::build(Shared& shared, const TrainerOptions& options) {
  const Work& work = options.work;
  ASSIGN_OR_RETURN(config_, model_of(work, options.precision));
  rows_ = work.batch;
  cost_ = step_cost(config_, rows_, options.lanes);
  sums_.assign(static_cast<std::size_t>(options.lanes), MetricSums::classification(work.classes));
  if (options.tells_parts) {
    for (std::size_t i = 0; i < kStepParts; ++i) {
      ASSIGN_OR_RETURN(TimedEvent event, TimedEvent::create());
      part_end_handles_.push_back(event.get());
      part_ends_.push_back(std::move(event));
    }
  }
  const LoaderOptions loading{.global_batch = rows_};
  steps_per_epoch_ = BatchPlan(options.data.count(), loading).steps_per_epoch();
  const ResidentPart part{.split = options.data, .options = loading};
  ASSIGN_OR_RETURN(auto feed, make_resident_feed(shared.datasets, {&part, 1}));
  ASSIGN_OR_RETURN(auto timer, StepTimer::make(std::move(feed)));
  timer_ = timer.get();
  CudaEngineOptions device_options{.training_feed = std::move(timer),
                                   .libraries = shared.libraries.get(),
                                   .records_steps = options.records_steps,
                                   .recorded_nodes = &nodes_,
                                   .part_ends = part_end_handles_};
  ASSIGN_OR_RETURN(
      engine_,
      make_cuda_engine(config_, {.batch_capacity = rows_, .global_batch = rows_, .lanes = options.lanes},
                       std::move(device_options)));
  for (int lane = 0; lane < options.lanes; ++lane) {
    engine_->start_lane(lane, lane_settings(config_, static_cast<std::uint64_t>(lane)));
  }
  return {};
}

Status Trainer::step() {
  const BatchView batch{
      .count = rows_, .epoch = steps_ / steps_per_epoch_, .step = steps_ % steps_per_epoch_};
  ++steps_;
  return engine_->train(batch, {.epoch = 0, .sums = sums_});
}

Result<double> Trainer::train(int steps) {
  for (MetricSums& sums : sums_) {
    sums.clear();
  }
  timer_->time_next(steps);
  for (int i = 0; i < steps; ++i) {
    RETURN_IF_ERROR(step());
  }
  RETURN_IF_ERROR(engine_->finish());
  return timer_->seconds();
}

double Trainer::loss() const {
  double sum = 0;
  for (const MetricSums& sums : sums_) {
    sum += sums.result().front().second;
  }
  return sum / static_cast<double>(sums_.size());
}

Result<std::vector<std::array<double, kStepParts>>> Trainer::seconds_of_parts(int steps) {
  CHECK(!part_ends_.empty(), "the trainer was made without parts");
  std::vector<std::array<double, kStepParts>> all;
  for (int i = 0; i < steps; ++i) {
    RETURN_IF_ERROR(step());
    RETURN_IF_ERROR(engine_->finish());
    std::array<double, kStepParts> parts{};
    for (std::size_t part = 1; part < kStepParts; ++part) {
      ASSIGN_OR_RETURN(parts[part], seconds_between(part_end_handles_[part - 1], part_end_handles_[part]));
    }
    all.push_back(parts);
  }
  return all;
}

}  // namespace regatta::cuda
