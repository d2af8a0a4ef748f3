// Runs a target where there is no libFuzzer: its seeds, then changed ones, the same on every machine.
//
//   fuzz_NAME [--seed S]              20,000 runs, or as many as take some seconds
//   fuzz_NAME [--seed S] --runs N     as many as it says
//   fuzz_NAME FILE...                 these inputs only: what a failure has left
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "tests/fuzz/mutation.h"
#include "tests/fuzz/target.h"

// Of the sanitizers' runtime, where there is one: it reports a bad access and exits without any signal.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace regatta::fuzz {
namespace {

constexpr unsigned kInputLimitSeconds = 10;
constexpr std::chrono::seconds kWholeLimit{20};
constexpr std::uint64_t kRuns = 20'000;
constexpr std::array kDeadlySignals = {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV};

// What a signal handler can reach: what is running, and the report of its failure, written beforehand.
struct Running {
  std::string input;
  std::string report;
  std::string file;
};
Running running;

// Only calls that a signal handler may make.
void leave_input() {
  const int descriptor = ::open(running.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const bool written = descriptor >= 0 &&
                       ::write(descriptor, running.input.data(), running.input.size()) >= 0 &&
                       ::write(STDERR_FILENO, running.report.data(), running.report.size()) >= 0;
  if (!written) {
    constexpr std::string_view kWords = "the input of this failure cannot be written\n";
    (void)!::write(STDERR_FILENO, kWords.data(), kWords.size());
  }
}

void fail(int signal) {
  leave_input();
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

void watch_for_failures() {
  static std::array<char, 65536> stack;  // a stack overflow leaves no other
  const stack_t alternative{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  ::sigaltstack(&alternative, nullptr);
  const bool has_sanitizer = __sanitizer_set_death_callback != nullptr;
  if (has_sanitizer) {
    __sanitizer_set_death_callback(leave_input);
  }
  struct sigaction action {};
  action.sa_handler = fail;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : kDeadlySignals) {
    if (!has_sanitizer || signal == SIGABRT || signal == SIGALRM) {
      ::sigaction(signal, &action, nullptr);
    }
  }
}

void run(std::string input, const std::string& what) {
  running.input = std::move(input);
  running.report =
      fmt::format("{} failed; its input of {} bytes is in {}\n", what, running.input.size(), running.file);
  ::alarm(kInputLimitSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(running.input.data()), running.input.size());
  ::alarm(0);
}

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t runs = 0;  // 0: the usual, within the limit of time
  std::vector<std::string> files;
};

Result<Arguments> parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      arguments.files.push_back(words[i]);
      continue;
    }
    const bool is_known = words[i] == "--seed" || words[i] == "--runs";
    std::uint64_t& number = words[i] == "--seed" ? arguments.seed : arguments.runs;
    const std::string value = i + 1 < words.size() ? words[++i] : "";
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (!is_known || error != std::errc() || end != value.data() + value.size()) {
      return user_mistake("usage: [--seed S] [--runs N] or FILE...");
    }
  }
  return arguments;
}

Status run_files(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(std::string input, read_file(file));
    run(std::move(input), file);
  }
  return {};
}

void run_seeds(const Arguments& arguments) {
  const SystemClock clock;
  const Deadline limit(clock, kWholeLimit);
  std::vector<std::string> sources = seeds();
  for (std::size_t i = 0; i < sources.size(); ++i) {
    run(sources[i], fmt::format("seeds()[{}]", i));
  }
  std::erase_if(sources, [](const std::string& source) { return source.size() > kMaxMutatedBytes; });
  const Random random(arguments.seed, "fuzz");
  const std::uint64_t runs = arguments.runs > 0 ? arguments.runs : kRuns;
  std::uint64_t done = 0;
  for (; done < runs && (arguments.runs > 0 || !limit.passed()); ++done) {
    run(mutated(sources, random.substream(done)), fmt::format("run {} of --seed {}", done, arguments.seed));
  }
  fmt::print("{} of {} runs of --seed {}\n", done, runs, arguments.seed);
}

int main_of(const std::vector<std::string>& words) {
  running.file = std::filesystem::path(words[0]).filename().string() + ".failed";
  const auto arguments = parse_arguments({words.begin() + 1, words.end()});
  Status status;
  if (!arguments.ok()) {
    status = arguments.error();
  } else if (watch_for_failures(); arguments->files.empty()) {
    run_seeds(*arguments);
  } else {
    status = run_files(arguments->files);
  }
  if (!status.ok()) {
    fmt::print(stderr, "{}: {}\n", words[0], status.error().message);
  }
  return status.ok() ? 0 : 2;
}

}  // namespace
}  // namespace regatta::fuzz

int main(int argc, char** argv) { return regatta::fuzz::main_of({argv, argv + argc}); }
