// Both kinds go by one BatchPlan.
#include "worker/batch_source.h"

#include "base/check.h"

namespace regatta {
namespace {

class HostBatches final : public BatchSource {
 public:
  HostBatches(const Split& split, const LoaderOptions& options)
      : plan_(split.count(), options), loader_(split, options) {}

  std::int64_t steps_per_epoch() const override { return plan_.steps_per_epoch(); }
  std::int64_t batch_capacity() const override { return plan_.capacity(); }

  void start_epoch(std::int64_t epoch, std::int64_t first_step) override {
    loader_.start_epoch(epoch, first_step);
    epoch_ = epoch;
    step_ = first_step;
  }

  const BatchView* next() override {
    const Batch* const batch = loader_.next();
    if (batch == nullptr) {
      return nullptr;
    }
    view_ = {.inputs = batch->inputs,
             .labels = batch->labels,
             .targets = batch->targets,
             .other_labels = batch->other_labels,
             .label_shares = batch->label_shares,
             .count = batch->count,
             .first_sample = plan_.first_row(),
             .epoch = epoch_,
             .step = step_++};
    return &view_;
  }

 private:
  BatchPlan plan_;
  Loader loader_;
  std::int64_t epoch_ = 0;
  std::int64_t step_ = 0;
  BatchView view_;
};

class KeptBatches final : public BatchSource {
 public:
  KeptBatches(std::int64_t samples, const LoaderOptions& options, int part)
      : plan_(samples, options), step_(plan_.steps_per_epoch()) {
    view_.first_sample = plan_.first_row();
    view_.part = part;
  }

  std::int64_t steps_per_epoch() const override { return plan_.steps_per_epoch(); }
  std::int64_t batch_capacity() const override { return plan_.capacity(); }

  void start_epoch(std::int64_t epoch, std::int64_t first_step) override {
    CHECK(epoch >= 0 && first_step >= 0 && first_step <= plan_.steps_per_epoch());
    view_.epoch = epoch;
    step_ = first_step;
  }

  const BatchView* next() override {
    if (step_ == plan_.steps_per_epoch()) {
      return nullptr;
    }
    view_.count = plan_.count(step_);
    view_.step = step_++;
    return &view_;
  }

 private:
  BatchPlan plan_;
  std::int64_t step_;
  BatchView view_;
};

}  // namespace

std::unique_ptr<BatchSource> make_host_batches(const Split& split, const LoaderOptions& options) {
  return std::make_unique<HostBatches>(split, options);
}

std::unique_ptr<BatchSource> make_kept_batches(std::int64_t samples, const LoaderOptions& options, int part) {
  return std::make_unique<KeptBatches>(samples, options, part);
}

}  // namespace regatta
