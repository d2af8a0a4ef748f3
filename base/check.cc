// Reports a broken invariant and aborts, so that a debugger or a core dump shows the place.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace regatta {

void check_failed(const char* condition, const char* file, int line, std::string_view detail) {
  std::fprintf(stderr, "%s:%d: CHECK(%s) failed%s%.*s\nThis is a bug in regatta; please report it.\n", file,
               line, condition, detail.empty() ? "" : ": ", static_cast<int>(detail.size()), detail.data());
  std::abort();
}

}  // namespace regatta
