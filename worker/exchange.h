// The engine's gradients, summed over a crew's ranks bucket by bucket, and the weights moved share by share.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/buckets.h"
#include "collectives/communication_thread.h"
#include "collectives/communicator.h"
#include "experiment/experiment.h"
#include "models/engine.h"
#include "worker/exchange_tuner.h"

namespace regatta {

// The engine's flat buffers in memory that the ranks may share: its rows.
enum class FlatRow { gradients, weights, first_moments, second_moments };

// How many of them an optimizer needs.
int shared_rows(OptimizerConfig::Kind kind);
// An engine in the first `rows` rows of `memory`, which must outlive it.
void lend_memory(FloatMemory& memory, int rows, EngineOptions& options);

// resources.wire
Wire wire_of(const Experiment& experiment);

struct ExchangeOptions {
  Wire wire = Wire::fp32;
  int threads = 1;                  // of this rank
  std::vector<ExchangePlan> plans;  // to choose from
};

class CrewExchange final : public GradientExchange {
 public:
  // `memory` has all rows of FlatRow that the engine uses, or gradients only; then it takes no update.
  CrewExchange(Communicator& communicator, const Clock& clock, FloatMemory& memory, int rows,
               ExchangeOptions options);

  bool take(WeightUpdate& update) override;
  Status ready(std::size_t floats) override;
  Status finish() override;
  Status sum(std::span<float> values) override;

 private:
  enum Kind { kReady, kFinish, kSum };
  void use_plan();
  Status ask(const CommunicationThread::Task& task);
  Status carry_out(const CommunicationThread::Task& task);
  Status choose();

  Communicator& communicator_;
  const Clock& clock_;
  FloatMemory& memory_;
  const int rows_;
  const ExchangeOptions options_;
  ExchangeTuner tuner_;
  WeightUpdate* update_ = nullptr;  // of this step
  std::optional<BucketReducer> reducer_;
  std::unique_ptr<CommunicationThread> thread_;  // with overlap
};

}  // namespace regatta
