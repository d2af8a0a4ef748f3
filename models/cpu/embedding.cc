// Rows of a table in place of token numbers, and a table that is added position by position.
#include <fmt/format.h>

#include <algorithm>

#include "base/multiversion.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

REGATTA_MULTIVERSION
void add_to(const float* values, std::int64_t size, float* sums) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    sums[i] += values[i];
  }
}

REGATTA_MULTIVERSION
void add(const float* left, const float* right, std::int64_t size, float* sums) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    sums[i] = left[i] + right[i];
  }
}

class EmbeddingOperation final : public Operation {
 public:
  EmbeddingOperation(Planner& planner, std::string name, const Embedding& embedding, Tensor input)
      : name_(std::move(name)),
        vocabulary_(embedding.vocabulary),
        units_(embedding.units),
        input_(std::move(input)),
        tokens_(input_.floats()),
        output_(planner.allocate({input_.shape.front(), units_},
                                 plain_layout(planner.rows(), {input_.shape.front(), units_}))) {
    CHECK(!input_.needs_gradient, "token numbers are data");
    planner.use(input_);
    output_.needs_gradient = true;
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      weights_.push_back(planner.parameters().weight(name_ + ".weight", lane));
      gradients_.push_back(planner.parameters().gradient(name_ + ".weight", lane));
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    planner.use(input_);
    output_gradient_ = planner.gradient_like(output_, reorders_);
  }

  Status forward(const Step& step) override {
    Status status;
    step.for_active_lanes([&](int lane) {
      const float* const tokens = input_.data(lane);
      const auto* const wrong =
          std::find_if_not(tokens, tokens + tokens_, [&](float token) { return is_token(token); });
      if (wrong != tokens + tokens_) {
        status = failure(
            fmt::format("{} was given {}, and its token numbers go from 0 to {}: raise `vocabulary`, or "
                        "look at the data",
                        name_, *wrong, vocabulary_ - 1));
        return;
      }
      const float* const table = weights_[static_cast<std::size_t>(lane)];
      float* const output = output_.data(lane);
      parallel_for(tokens_, step.threads, [&](std::int64_t i) {
        std::copy_n(table + static_cast<std::int64_t>(tokens[i]) * units_, units_, output + i * units_);
      });
    });
    return status;
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    step.for_active_lanes([&](int lane) {
      const float* const tokens = input_.data(lane);
      const float* const gradient = output_gradient_.data(lane);
      float* const table = gradients_[static_cast<std::size_t>(lane)];
      std::fill_n(table, vocabulary_ * units_, 0.0F);
      for (std::int64_t i = 0; i < tokens_; ++i) {
        add_to(gradient + i * units_, units_, table + static_cast<std::int64_t>(tokens[i]) * units_);
      }
    });
    return {};
  }

 private:
  bool is_token(float token) const {
    return token >= 0 && token < static_cast<float>(vocabulary_) &&
           static_cast<float>(static_cast<std::int64_t>(token)) == token;
  }

  std::string name_;
  std::int64_t vocabulary_;
  std::int64_t units_;
  Tensor input_;
  std::int64_t tokens_;  // of all rows
  Tensor output_;
  Tensor output_gradient_;
  CallSequence reorders_;
  std::vector<const float*> weights_;
  std::vector<float*> gradients_;
};

class PositionEmbeddingOperation final : public Operation {
 public:
  PositionEmbeddingOperation(Planner& planner, const std::string& name, Tensor input)
      : rows_(planner.rows()), input_(std::move(input)), size_(element_count(input_.shape)) {
    CHECK(input_.layout == plain_layout(rows_, input_.shape));
    planner.use(input_);
    output_ = input_.may_overwrite ? planner.view(input_, input_.shape, input_.layout)
                                   : planner.allocate(input_.shape, input_.layout);
    output_.needs_gradient = true;
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      weights_.push_back(planner.parameters().weight(name + ".weight", lane));
      gradients_.push_back(planner.parameters().gradient(name + ".weight", lane));
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient_like(output_, reorders_);
    if (input_.needs_gradient) {
      planner.set_gradient(input_, output_gradient_);
    }
  }

  Status forward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      parallel_for(rows_, step.threads, [&](std::int64_t row) {
        add(input_.data(lane) + row * size_, weights_[static_cast<std::size_t>(lane)], size_,
            output_.data(lane) + row * size_);
      });
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    step.for_active_lanes([&](int lane) {
      float* const sums = gradients_[static_cast<std::size_t>(lane)];
      std::fill_n(sums, size_, 0.0F);
      for (std::int64_t row = 0; row < rows_; ++row) {
        add_to(output_gradient_.data(lane) + row * size_, size_, sums);
      }
    });
    return {};
  }

 private:
  std::int64_t rows_;
  Tensor input_;
  std::int64_t size_;  // of a row
  Tensor output_;
  Tensor output_gradient_;
  CallSequence reorders_;
  std::vector<const float*> weights_;
  std::vector<float*> gradients_;
};

}  // namespace

Planned plan_operation(Planner& planner, const std::string& name, const Embedding& embedding,
                       const Tensor& input) {
  auto operation = std::make_unique<EmbeddingOperation>(planner, name, embedding, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

Planned plan_operation(Planner& planner, const std::string& name, const PositionEmbedding&,
                       const Tensor& input) {
  auto operation = std::make_unique<PositionEmbeddingOperation>(planner, name, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
