// One trace for the process, as there is one log. Threads take places in a ring of spans by counting up.
#include "base/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/file.h"

namespace regatta {
namespace {

struct Span {
  const char* name = nullptr;
  std::size_t bytes = 0;
  int thread = 0;
  Microseconds begin{0};
  Microseconds end{0};
};

struct Trace {
  const Clock& clock;
  std::vector<Span> ring;
  std::atomic<std::size_t> count{0};
  std::atomic<int> threads{0};
};

std::atomic<Trace*> the_trace{nullptr};

int thread_number(Trace& trace) {
  thread_local const int number = trace.threads++;
  return number;
}

std::string json_of(const Span& span, int process) {
  const std::string bytes = span.bytes > 0 ? fmt::format(R"(,"args":{{"bytes":{}}})", span.bytes) : "";
  return fmt::format(R"({{"name":"{}","ph":"X","ts":{},"dur":{},"pid":{},"tid":{}{}}})", span.name,
                     span.begin.count(), (span.end - span.begin).count(), process, span.thread, bytes);
}

}  // namespace

void start_trace(const Clock& clock, const TraceOptions& options) {
  CHECK(the_trace == nullptr && options.spans > 0);
  the_trace =
      new Trace{.clock = clock, .ring = std::vector<Span>(options.spans)};  // lives as long as the process
}

TraceSpan::TraceSpan(const char* name, std::size_t bytes) : name_(nullptr) {
  if (const Trace* const trace = the_trace.load(std::memory_order_relaxed); trace != nullptr) {
    name_ = name;
    bytes_ = bytes;
    begin_ = trace->clock.wall();
  }
}

TraceSpan::~TraceSpan() {
  if (name_ == nullptr) {
    return;
  }
  Trace& trace = *the_trace.load(std::memory_order_relaxed);
  const std::size_t place = trace.count.fetch_add(1, std::memory_order_relaxed) % trace.ring.size();
  trace.ring[place] = {name_, bytes_, thread_number(trace), begin_, trace.clock.wall()};
}

// Events are one a line, so that files can be joined without reading them.
Status write_trace(const std::filesystem::path& file, const std::string& name, int number) {
  const Trace* const trace = the_trace;
  if (trace == nullptr) {
    return {};
  }
  std::string text = fmt::format(
      "[\n{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":{},\"args\":{{\"name\":\"{}\"}}}}", number, name);
  const std::size_t count = std::min(trace->count.load(), trace->ring.size());
  for (std::size_t i = 0; i < count; ++i) {
    text += ",\n" + json_of(trace->ring[i], number);
  }
  return write_file_atomically(file, text + "\n]\n");
}

Status join_traces(const std::filesystem::path& folder, const std::filesystem::path& file) {
  std::vector<std::filesystem::path> parts;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(folder, absent)) {
    if (entry.path().extension() == ".json") {  // others were being written when their rank was killed
      parts.push_back(entry.path());
    }
  }
  std::ranges::sort(parts);
  std::string events;
  for (const std::filesystem::path& part : parts) {
    ASSIGN_OR_RETURN(const std::string text, read_file(part));
    const std::size_t begin = text.find('\n');
    const std::size_t end = text.rfind("\n]");
    if (begin == std::string::npos || end == std::string::npos || end <= begin) {
      return failure(fmt::format("{} is no part of a trace", part.string()));
    }
    events += (events.empty() ? "" : ",") + text.substr(begin, end - begin);
  }
  return write_file_atomically(file, "[" + events + "\n]\n");
}

}  // namespace regatta
