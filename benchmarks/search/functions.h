// Test functions of the optimisation literature, to be minimised. Their boxes are shifted so that no optimum
// lies on a boundary or, but for ackley5, in the centre.
#pragma once

#include <span>
#include <string>

#include "experiment/space.h"

namespace regatta {

struct TestFunction {
  const char* name;
  const char* space;  // YAML
  double optimum;     // the smallest value
  // Of a point of `space`: a choice is its index.
  double (*value)(std::span<const double> x);
};

std::span<const TestFunction> test_functions();

}  // namespace regatta
