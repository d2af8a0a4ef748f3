// Where a residual block's input splits into body and shortcut, and where the two are added. He et al. 2016.
#include "base/multiversion.h"
#include "models/cpu/operations.h"

namespace regatta {
namespace {

REGATTA_MULTIVERSION
void add(const float* left, const float* right, std::int64_t size, float* sums) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    sums[i] = left[i] + right[i];
  }
}

REGATTA_MULTIVERSION
void add(const Bfloat16* left, const Bfloat16* right, std::int64_t size, Bfloat16* sums) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    store(to_float(left[i]) + to_float(right[i]), sums[i]);
  }
}

// left + right of all lanes, in left's layout, in the memory of one of them where that is allowed.
class Sum {
 public:
  void plan(Planner& planner, const Tensor& left, const Tensor& right) {
    left_ = left;
    planner.use(left);
    right_ = planner.read_as(right, left.layout, reorders_);
    const bool right_is_free = right.may_overwrite && right.layout == left.layout;
    result_ = left.may_overwrite ? planner.view(left, left.shape, left.layout)
              : right_is_free    ? planner.view(right, right.shape, right.layout)
                                 : planner.allocate(left.shape, left.layout);
    result_.may_overwrite = true;
    result_.needs_gradient = left.needs_gradient || right.needs_gradient;
  }
  // A reordered `right` stands in memory that the lanes share, so each lane is summed before the next begins.
  void run(const Step& step) const {
    step.for_active_lanes([&](int lane) {
      reorders_.run_lane(step, lane);
      const void* const right = right_[static_cast<std::size_t>(lane)].get_data_handle();
      with_element_type(left_, [&]<class Element>(Element) {
        add(left_.elements<Element>(lane), static_cast<const Element*>(right), left_.element_count(),
            result_.elements<Element>(lane));
      });
    });
  }
  const Tensor& result() const { return result_; }

 private:
  Tensor left_;
  std::vector<dnnl::memory> right_;
  Tensor result_;
  CallSequence reorders_;
};

class ForkOperation final : public Operation {
 public:
  ForkOperation(Planner& planner, Tensor input) : input_(std::move(input)) {
    planner.use(input_);
    body_ = planner.view(input_, input_.shape, input_.layout);
    shortcut_ = planner.view(input_, input_.shape, input_.layout);
    body_.may_overwrite = shortcut_.may_overwrite = false;  // there are two readers
  }

  const Tensor& body() const { return body_; }
  const Tensor& shortcut() const { return shortcut_; }

  void plan_backward(Planner& planner) override {
    sum_.plan(planner, planner.gradient(body_), planner.gradient(shortcut_));
    planner.set_gradient(input_, sum_.result());
  }

  Status forward(const Step&) override { return {}; }

  Status backward(const Step& step) override {
    sum_.run(step);
    return {};
  }

 private:
  Tensor input_;
  Tensor body_;
  Tensor shortcut_;
  Sum sum_;
};

class AddOperation final : public Operation {
 public:
  AddOperation(Planner& planner, Tensor body, Tensor shortcut)
      : body_(std::move(body)), shortcut_(std::move(shortcut)) {
    sum_.plan(planner, body_, shortcut_);
  }

  const Tensor& output() const { return sum_.result(); }

  // Both sides read the one gradient, so neither may write over it.
  void plan_backward(Planner& planner) override {
    Tensor gradient = planner.gradient(sum_.result());
    planner.use(gradient);
    gradient.may_overwrite = false;
    planner.set_gradient(body_, gradient);
    planner.set_gradient(shortcut_, gradient);
  }

  Status forward(const Step& step) override {
    sum_.run(step);
    return {};
  }

  Status backward(const Step&) override { return {}; }

 private:
  Tensor body_;
  Tensor shortcut_;
  Sum sum_;
};

}  // namespace

PlannedFork plan_fork(Planner& planner, const Tensor& input) {
  auto operation = std::make_unique<ForkOperation>(planner, input);
  Tensor body = operation->body();
  Tensor shortcut = operation->shortcut();
  return {std::move(operation), std::move(body), std::move(shortcut)};
}

Planned plan_add(Planner& planner, const Tensor& body, const Tensor& shortcut) {
  auto operation = std::make_unique<AddOperation>(planner, body, shortcut);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
