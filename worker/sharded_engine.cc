// Several engines, one a shard, behind the interface of one.
#include "worker/sharded_engine.h"

#include <algorithm>
#include <vector>

#include "data/loader.h"
#include "models/cpu/engine.h"
#include "worker/shard_team.h"

namespace regatta {
namespace {

// How a shard is one of many ranks. Nothing is overlapped: a bucket that is final early waits for the rest.
class ShardExchange final : public GradientExchange {
 public:
  ShardExchange(ShardTeam& team, int member, std::size_t floats)
      : team_(team), member_(member), gradients_(floats) {}

  std::span<float> gradients() { return gradients_; }
  Status ready(std::size_t /*floats*/) override { return {}; }
  Status finish() override { return team_.sum(member_, gradients_); }
  Status sum(std::span<float> values) override { return team_.sum(member_, values); }

 private:
  ShardTeam& team_;
  const int member_;
  std::vector<float> gradients_;
};

struct Shard {
  std::unique_ptr<ShardExchange> exchange;
  std::unique_ptr<Engine> engine;  // after what it writes its gradients to
  RankShare rows;                  // of this rank's batches
  std::vector<MetricSums> sums;    // of one step; one a lane
  std::vector<double> all_sums;    // the same, one after another
};

class ShardedEngine final : public Engine {
 public:
  ShardedEngine(const ModelConfig& config, const EngineOptions& options, int shards,
                Communicator& communicator)
      : communicator_(communicator),
        network_(config.network),
        options_(options),
        team_(communicator, shards / communicator.size()),
        shards_(static_cast<std::size_t>(team_.size())) {
    const std::int64_t first_row =
        rank_share(options.global_batch, communicator.rank(), communicator.size()).begin;
    for (int member = 0; member < team_.size(); ++member) {
      const int shard = communicator.rank() * team_.size() + member;
      const RankShare share = rank_share(options.global_batch, shard, shards);
      shards_[static_cast<std::size_t>(member)].rows = {share.begin - first_row, share.end - first_row};
    }
  }

  Status make_engines(const ModelConfig& config, int shards) {
    const auto floats = static_cast<std::size_t>(options_.lanes * network_.parameter_count);
    for (std::size_t member = 0; member < shards_.size(); ++member) {
      Shard& shard = shards_[member];
      shard.exchange = std::make_unique<ShardExchange>(team_, static_cast<int>(member), floats);
      EngineOptions options = options_;
      options.batch_capacity = (options.global_batch + shards - 1) / shards;
      options.evaluation_capacity = member == 0 ? options.evaluation_capacity : 0;
      options.threads = 1;
      options.gradients = shard.exchange->gradients();
      ASSIGN_OR_RETURN(shard.engine, make_cpu_engine(config, options));
    }
    return {};
  }

  void start_lane(int lane, const LaneSettings& settings) override {
    for (const Shard& shard : shards_) {
      shard.engine->start_lane(lane, settings);
    }
  }
  LaneState save_lane(int lane) const override { return shards_.front().engine->save_lane(lane); }
  Status restore_lane(int lane, const LaneState& state) override {
    for (const Shard& shard : shards_) {
      RETURN_IF_ERROR(shard.engine->restore_lane(lane, state));
    }
    return {};
  }
  void select_lanes(std::span<const int> lanes) override {
    for (const Shard& shard : shards_) {
      shard.engine->select_lanes(lanes);
    }
  }

  Status train(const BatchView& batch, const TrainStep& step) override {
    RETURN_IF_ERROR(team_.run([&](int member) { return train_shard(member, batch, step); }));
    return collect(step.sums);
  }

  Status evaluate(const BatchView& batch, std::span<MetricSums> sums) override {
    Engine& engine = *shards_.front().engine;
    if (communicator_.rank() == 0) {
      return engine.evaluate(batch, sums);
    }
    discarded_.assign(sums.begin(), sums.end());
    return engine.evaluate(batch, discarded_);
  }

  Status finish() override { return {}; }  // the CPU has done all work when a call returns

  std::span<const float> gradients() const override { return shards_.front().engine->gradients(); }

 private:
  Status train_shard(int member, const BatchView& batch, const TrainStep& step) {
    Shard& shard = shards_[static_cast<std::size_t>(member)];
    shard.sums.resize(step.sums.size(), step.sums.front());
    for (std::size_t lane = 0; lane < shard.sums.size(); ++lane) {
      shard.sums[lane] = step.sums[lane];  // of the same kind
      shard.sums[lane].clear();
    }
    return shard.engine->train(rows_of(batch, shard.rows),
                               {.epoch = step.epoch, .exchange = shard.exchange.get(), .sums = shard.sums});
  }

  BatchView rows_of(const BatchView& batch, const RankShare& rows) const {
    const auto slice = [&](const auto& values, std::int64_t width) {
      const auto begin = static_cast<std::size_t>(rows.begin * width);
      return values.empty()
                 ? values
                 : values.subspan(begin, static_cast<std::size_t>((rows.end - rows.begin) * width));
    };
    const std::int64_t labels = network_.output.size() > 1 ? network_.output.front() : 1;
    return {.inputs = slice(batch.inputs, element_count(network_.input)),
            .labels = slice(batch.labels, labels),
            .targets = slice(batch.targets, element_count(network_.output)),
            .other_labels = slice(batch.other_labels, labels),
            .label_shares = slice(batch.label_shares, 1),
            .count = std::clamp<std::int64_t>(batch.count - rows.begin, 0, rows.end - rows.begin),
            .first_sample = batch.first_sample + rows.begin};
  }

  // Rank 0 carries the metrics of all: added up in any other order they would depend on the ranks.
  Status collect(std::span<MetricSums> sums) {
    std::vector<std::span<double>> parts;
    for (Shard& shard : shards_) {
      shard.all_sums.clear();
      for (MetricSums& lane : shard.sums) {
        shard.all_sums.insert(shard.all_sums.end(), lane.sums().begin(), lane.sums().end());
      }
      parts.emplace_back(shard.all_sums);
    }
    RETURN_IF_ERROR(team_.sum(parts));
    if (communicator_.rank() != 0) {
      return {};
    }
    auto next = parts.front().begin();
    for (MetricSums& lane : sums) {
      for (double& sum : lane.sums()) {
        sum += *next++;
      }
    }
    return {};
  }

  Communicator& communicator_;
  const Network network_;
  const EngineOptions options_;
  ShardTeam team_;
  std::vector<Shard> shards_;  // of this rank
  std::vector<MetricSums> discarded_;
};

}  // namespace

Result<std::unique_ptr<Engine>> make_sharded_engine(const ModelConfig& config, const EngineOptions& options,
                                                    int shards, Communicator& communicator) {
  CHECK(shards % communicator.size() == 0 && shards <= options.global_batch);
  auto engine = std::make_unique<ShardedEngine>(config, options, shards, communicator);
  RETURN_IF_ERROR(engine->make_engines(config, shards));
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace regatta
