// CHECK: an invariant of the program itself. It stays on in release builds: a wrong result is worse than an
// abort.
#pragma once

#include <string_view>

namespace regatta {

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               std::string_view detail = {});

}  // namespace regatta

// CHECK(condition) or CHECK(condition, "what it means").
#define CHECK(condition, ...)   \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::regatta::check_failed(#condition, __FILE__, __LINE__ __VA_OPT__(, ) __VA_ARGS__))
