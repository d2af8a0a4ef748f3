// Each layer's rule, and what it says of a shape that does not fit.
#include "models/sequence_plan.h"

#include <fmt/format.h>

namespace regatta {
namespace {

Status check_sequence(const Layer& layer, const Shape& input) {
  if (is_sequence(input)) {
    return {};
  }
  return mistake_at(layer.place,
                    fmt::format("{} needs a sequence (positions × features), and its input is {}; put "
                                "`reshape: [positions, features]` before it",
                                layer.name, describe(input)));
}

}  // namespace

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const Reshape& reshape, const Shape& input) {
  if (element_count(reshape.shape) != element_count(input)) {
    return mistake_at(layer.place,
                      fmt::format("{}: the shape {} has {} values, and the input {} has {}", layer.name,
                                  describe(reshape.shape), element_count(reshape.shape), describe(input),
                                  element_count(input)));
  }
  return LayerPlan{reshape.shape};
}

Result<LayerPlan> plan_layer_of_sequences(const Layer& layer, const TimePool&, const Shape& input) {
  RETURN_IF_ERROR(check_sequence(layer, input));
  return LayerPlan{{input.back()}};
}

}  // namespace regatta
