// Computes an operation graph on the CPU as its description has it: every stride, mask and rounding. So what
// attention on a GPU is asked for is held against attention without a GPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "models/cpu/bfloat16.h"
#include "models/cuda/operation_graph.h"

namespace regatta {

class GraphInterpreter {
 public:
  // `memory_of`: where a tensor begins that stands in memory.
  GraphInterpreter(const OperationGraph& graph, const std::function<void*(const GraphTensor&)>& memory_of)
      : graph_(graph), places_(graph.tensors.size()) {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const GraphTensor& tensor = graph.tensors[i];
      Place& place = places_[i];
      place.is_bf16 = tensor.type == GraphType::bf16;
      if (tensor.value.has_value()) {
        place.own = {*tensor.value};
      } else if (tensor.is_virtual) {  // as floats, whatever they hold
        place.own.assign(static_cast<std::size_t>(elements_spanned(tensor)),
                         std::numeric_limits<float>::quiet_NaN());
      } else {
        place.memory = memory_of(tensor);
      }
    }
  }

  void run() {
    for (const GraphOperation& operation : graph_.operations) {
      run(operation);
    }
  }

 private:
  struct Place {
    bool is_bf16 = false;
    void* memory = nullptr;
    std::vector<float> own;
  };

  static std::int64_t elements_spanned(const GraphTensor& tensor) {
    std::int64_t last = 0;
    for (std::size_t axis = 0; axis < tensor.sizes.size(); ++axis) {
      last += (tensor.sizes[axis] - 1) * tensor.strides[axis];
    }
    return last + 1;
  }

  const GraphTensor& tensor(int number) const { return graph_.tensors.at(static_cast<std::size_t>(number)); }

  // An axis of size 1 stays where it is, wherever the others go.
  std::int64_t offset(int number, const Axes& at) const {
    const GraphTensor& of = tensor(number);
    std::int64_t sum = 0;
    for (std::size_t axis = 0; axis < at.size(); ++axis) {
      CHECK(of.sizes[axis] == 1 || at[axis] < of.sizes[axis], "sizes that do not go along");
      sum += of.sizes[axis] == 1 ? 0 : at[axis] * of.strides[axis];
    }
    return sum;
  }
  float read_offset(int number, std::int64_t offset) const {
    const Place& place = places_.at(static_cast<std::size_t>(number));
    if (place.memory == nullptr) {
      return place.own.at(static_cast<std::size_t>(offset));
    }
    return place.is_bf16 ? to_float(static_cast<const Bfloat16*>(place.memory)[offset])
                         : static_cast<const float*>(place.memory)[offset];
  }
  float read(int number, const Axes& at) const { return read_offset(number, offset(number, at)); }
  void write(int number, const Axes& at, float value) {
    Place& place = places_.at(static_cast<std::size_t>(number));
    const auto index = static_cast<std::size_t>(offset(number, at));
    Bfloat16 rounded;
    store(value, rounded);
    if (place.memory == nullptr) {
      place.own.at(index) = place.is_bf16 ? to_float(rounded) : value;
    } else if (place.is_bf16) {
      static_cast<Bfloat16*>(place.memory)[index] = rounded;
    } else {
      static_cast<float*>(place.memory)[index] = value;
    }
  }

  template <class Visit>
  static void each_index(const Axes& sizes, const Visit& visit) {
    Axes at = {};
    for (at[0] = 0; at[0] < sizes[0]; ++at[0]) {
      for (at[1] = 0; at[1] < sizes[1]; ++at[1]) {
        for (at[2] = 0; at[2] < sizes[2]; ++at[2]) {
          for (at[3] = 0; at[3] < sizes[3]; ++at[3]) {
            visit(at);
          }
        }
      }
    }
  }

  void run(const GraphOperation& operation) {
    switch (operation.step) {
      case GraphStep::matmul:
        return multiply_matrices(operation);
      case GraphStep::largest:
      case GraphStep::sum:
        return reduce(operation);
      case GraphStep::reshape:
        return reshape(operation);
      default:
        return each_index(tensor(operation.y).sizes,
                          [&](const Axes& at) { write(operation.y, at, element(operation, at)); });
    }
  }

  float element(const GraphOperation& operation, const Axes& at) const {
    const auto x = [&] { return read(operation.x, at); };
    const auto b = [&] { return read(operation.b, at); };
    switch (operation.step) {
      case GraphStep::add:
        return x() + b();
      case GraphStep::subtract:
        return x() - b();
      case GraphStep::multiply:
        return x() * b();
      case GraphStep::divide:
        return x() / b();
      case GraphStep::exponential:
        return std::exp(x());
      case GraphStep::logarithm:
        return std::log(x());
      case GraphStep::row_index:
        return static_cast<float>(at[2]);
      case GraphStep::column_index:
        return static_cast<float>(at[3]);
      case GraphStep::greater_equal:
        return x() >= b() ? 1.0F : 0.0F;
      case GraphStep::select:
        return read(operation.t, at) != 0 ? x() : b();
      default:
        check_failed("a pointwise step", __FILE__, __LINE__);
    }
  }

  void multiply_matrices(const GraphOperation& operation) {
    const Axes& left = tensor(operation.x).sizes;
    const Axes& right = tensor(operation.b).sizes;
    const Axes& result = tensor(operation.y).sizes;
    CHECK(left[3] == right[2] && left[2] == result[2] && right[3] == result[3], "matrices that do not fit");
    const std::int64_t left_step = tensor(operation.x).strides[3];
    const std::int64_t right_step = tensor(operation.b).strides[2];
    each_index(result, [&](const Axes& at) {
      const std::int64_t left_begin = offset(operation.x, {at[0], at[1], at[2], 0});
      const std::int64_t right_begin = offset(operation.b, {at[0], at[1], 0, at[3]});
      double sum = 0;
      for (std::int64_t k = 0; k < left[3]; ++k) {
        sum += static_cast<double>(read_offset(operation.x, left_begin + k * left_step)) *
               static_cast<double>(read_offset(operation.b, right_begin + k * right_step));
      }
      write(operation.y, at, static_cast<float>(sum));
    });
  }

  void reduce(const GraphOperation& operation) {
    const Axes& all = tensor(operation.x).sizes;
    const Axes& kept = tensor(operation.y).sizes;
    Axes reduced = {1, 1, 1, 1};
    for (std::size_t axis = 0; axis < all.size(); ++axis) {
      CHECK(kept[axis] == all[axis] || kept[axis] == 1, "an axis is kept or reduced");
      reduced[axis] = kept[axis] == all[axis] ? 1 : all[axis];
    }
    const bool sums = operation.step == GraphStep::sum;
    each_index(kept, [&](const Axes& at) {
      double result = sums ? 0 : -std::numeric_limits<double>::infinity();
      each_index(reduced, [&](const Axes& along) {
        const auto value = static_cast<double>(
            read(operation.x, {at[0] + along[0], at[1] + along[1], at[2] + along[2], at[3] + along[3]}));
        result = sums ? result + value : std::max(result, value);
      });
      write(operation.y, at, static_cast<float>(result));
    });
  }

  void reshape(const GraphOperation& operation) {
    const auto sorted_axes = [&](int number) {
      std::vector<std::pair<std::int64_t, std::int64_t>> axes;
      for (std::size_t axis = 0; axis < 4; ++axis) {
        axes.emplace_back(tensor(number).strides[axis], tensor(number).sizes[axis]);
      }
      std::sort(axes.begin(), axes.end());
      return axes;
    };
    CHECK(sorted_axes(operation.x) == sorted_axes(operation.y), "other elements than those of x");
    each_index(tensor(operation.y).sizes, [&](const Axes& at) {
      write(operation.y, at, read_offset(operation.x, offset(operation.y, at)));
    });
  }

  const OperationGraph& graph_;
  std::vector<Place> places_;
};

}  // namespace regatta
