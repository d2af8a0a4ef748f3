// Loops over the threads of a rank. oneDNN runs on the same OpenMP threads.
#pragma once

#include <omp.h>

#include <cstdint>

namespace regatta {

// Calls function(i) for 0 ≤ i < count. Which thread takes which i is fixed, so that results repeat.
template <class Function>
void parallel_for(std::int64_t count, int threads, const Function& function) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) {
      function(i);
    }
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::int64_t i = 0; i < count; ++i) {
    function(i);
  }
}

// Sets the number of OpenMP threads of the calling thread's parallel regions, as long as it lives. oneDNN
// plans and runs for that many.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

}  // namespace regatta
