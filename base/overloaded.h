// One function object out of several lambdas, for std::visit: the alternatives stand side by side.
#pragma once

namespace regatta {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace regatta
