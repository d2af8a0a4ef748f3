// A timeline of what this process does, in the format of Chrome's tracing (chrome://tracing, Perfetto): spans
// of named work on its threads. Off, a span costs one look at a flag; on, two looks at the clock and a store
// into memory that was allocated when the trace began.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

struct TraceOptions {
  std::size_t spans = 200'000;  // the latest ones are kept
};

// Once in a process, before the threads that are to be seen. The clock must outlive all spans.
void start_trace(const Clock& clock, const TraceOptions& options = {});

// Writes what was kept as a file of its own: the process is called `name` and shown under `number`. Not while
// spans are being made. Does nothing without a trace.
Status write_trace(const std::filesystem::path& file, const std::string& name, int number);

// Joins the files in `folder`, as write_trace made them, into one.
Status join_traces(const std::filesystem::path& folder, const std::filesystem::path& file);

// The work of this thread from here to the end of the block. `name` must live for ever.
class TraceSpan {
 public:
  explicit TraceSpan(const char* name, std::size_t bytes = 0);
  ~TraceSpan();
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  const char* name_;  // nullptr: there is no trace
  std::size_t bytes_ = 0;
  Microseconds begin_{0};
};

}  // namespace regatta
