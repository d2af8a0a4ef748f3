// Gives libFuzzer the target's seeds: a folder beside the program, which libFuzzer then also adds its finds
// to when no other folder is named.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/fuzz/target.h"

namespace regatta::fuzz {
namespace {

std::string written_seeds(const std::string& program) {
  const std::filesystem::path folder = program + ".corpus";
  CHECK(make_directories(folder).ok(), folder.string());
  const std::vector<std::string> inputs = seeds();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CHECK(write_file_atomically(folder / fmt::format("seed-{}", i), inputs[i]).ok(), folder.string());
  }
  return folder.string();
}

}  // namespace
}  // namespace regatta::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static std::vector<char*> arguments(*argv, *argv + *argc);
  if (std::ranges::any_of(arguments.begin() + 1, arguments.end(),
                          [](const char* word) { return std::filesystem::is_regular_file(word); })) {
    return 0;  // inputs to run once more, and only these
  }
  static std::string folder = regatta::fuzz::written_seeds(arguments[0]);
  arguments.push_back(folder.data());
  *argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  *argv = arguments.data();
  return 0;
}
