// gpu-benchmark: ours for compare.py and first-run. Answers each line of the standard input, a JSON object,
// with one; between lines the device is idle, so that a peer can be measured in turn.
//
//   {"do": "machine"}                                versions and the device
//   {"do": "ceilings", "copy_bytes": B, "product_side": N}   what the device reaches in a copy and in
//   products
//   {"do": "prepare", "as": NAME, "work": "mlp", "precision": "bf16", "lanes": 8, "batch": 256,
//    "samples": N, "warm_up": N, "recorded": true, "parts": false}
//   {"do": "run", "as": NAME, "steps": N}            seconds, by the device's events
//   {"do": "parts", "as": NAME, "steps": N}          seconds of each part of every step
//   {"do": "drop", "as": NAME}
//
// An answer with "error" is a sentence; the next line may still be answered.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/log.h"
#include "ceilings.h"
#include "cli/version.h"
#include "trainer.h"
#include "versions.h"

namespace regatta::cuda {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, kStepParts> kPartNames = {"start",    "input",    "forward",
                                                            "backward", "exchange", "update"};

Result<Json> machine() {
  int device = 0;
  RETURN_IF_ERROR(check(cudaGetDevice(&device), "looking for a GPU"));
  cudaDeviceProp properties{};
  RETURN_IF_ERROR(check(cudaGetDeviceProperties(&properties, device), "asking the GPU what it is"));
  int driver = 0;
  int runtime = 0;
  RETURN_IF_ERROR(check(cudaDriverGetVersion(&driver), "asking for the driver's version"));
  RETURN_IF_ERROR(check(cudaRuntimeGetVersion(&runtime), "asking for CUDA's version"));
  const auto version = [](int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); };
  const LibraryVersions libraries = library_versions();
  return Json{{"device", properties.name},
              {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)},
              {"multiprocessors", properties.multiProcessorCount},
              {"memory_bytes", properties.totalGlobalMem},
              {"l2_bytes", properties.l2CacheSize},
              {"driver_supports_cuda", version(driver)},
              {"cuda", version(runtime)},
              {"cudnn", libraries.cudnn},
              {"cublaslt", libraries.cublaslt},
              {"regatta", kVersion}};
}

Result<Json> ceilings(const Json& order) {
  CeilingSizes sizes;
  sizes.copy_bytes = order.value("copy_bytes", sizes.copy_bytes);
  sizes.product_side = order.value("product_side", sizes.product_side);
  ASSIGN_OR_RETURN(const double copy, measure_copy(sizes));
  Json answer = {{"copy", copy}};
  for (const MathMode math : {MathMode::fp32, MathMode::tf32, MathMode::bf16}) {
    ASSIGN_OR_RETURN(const double rate, measure_products(sizes, math));
    answer[std::string(describe(math))] = rate;
  }
  return answer;
}

class Bench {
 public:
  Result<Json> answer(const Json& order) {
    const std::string what = order.at("do");
    if (what == "machine") {
      return machine();
    }
    if (what == "ceilings") {
      return ceilings(order);
    }
    if (what == "prepare") {
      return prepare(order);
    }
    if (what == "drop") {
      trainers_.erase(order.at("as").get<std::string>());
      return Json::object();
    }
    const auto found = trainers_.find(order.at("as").get<std::string>());
    if (found == trainers_.end()) {
      return failure("nothing was prepared under this name");
    }
    if (what == "run") {
      return run(*found->second, order.at("steps"));
    }
    if (what == "parts") {
      return parts(*found->second, order.at("steps"));
    }
    return failure(fmt::format("'{}' is not among machine, ceilings, prepare, run, parts and drop", what));
  }

 private:
  Result<Json> prepare(const Json& order) {
    TrainerOptions options;
    ASSIGN_OR_RETURN(options.work, find_work(order.at("work").get<std::string>()));
    options.work.batch = order.value("batch", options.work.batch);
    options.precision = order.at("precision");
    options.lanes = order.value("lanes", 1);
    options.records_steps = order.value("recorded", true);
    options.tells_parts = order.value("parts", false);
    const std::int64_t samples = order.at("samples");
    if (options.work.batch < 1 || options.lanes < 1 || samples < options.work.batch) {
      return failure("batch and lanes are at least 1, samples at least the batch");
    }
    options.data = data_of(options.work, samples);
    if (shared_.libraries == nullptr) {
      ASSIGN_OR_RETURN(shared_.libraries, open_libraries());
    }
    const SystemClock clock;
    const Microseconds begin = clock.monotonic();
    ASSIGN_OR_RETURN(auto trainer, Trainer::make(shared_, options, order.value("warm_up", 1)));
    const double seconds = std::chrono::duration<double>(clock.monotonic() - begin).count();
    Json answer = {{"seconds", seconds},
                   {"batch", options.work.batch},
                   {"tokens", options.work.text ? options.work.batch * options.work.input[0] : 0},
                   {"device_bytes", trainer->device_bytes()},
                   {"nodes", trainer->nodes()},
                   {"parameters", trainer->parameters()},
                   {"flops", trainer->cost().flops},
                   {"bytes", trainer->cost().bytes}};
    trainers_[order.at("as").get<std::string>()] = std::move(trainer);
    return answer;
  }

  // Made once, because that takes seconds.
  const Split& data_of(const Work& work, std::int64_t samples) {
    const auto key = std::pair(std::string(work.name), samples);
    const auto found = data_.find(key);
    return found != data_.end() ? found->second
                                : data_.emplace(key, made_up_data(work, samples)).first->second;
  }

  static Result<Json> run(Trainer& trainer, int steps) {
    ASSIGN_OR_RETURN(const double seconds, trainer.train(steps));
    return Json{{"seconds", seconds}, {"loss", trainer.loss()}};
  }

  static Result<Json> parts(Trainer& trainer, int steps) {
    ASSIGN_OR_RETURN(const auto all, trainer.seconds_of_parts(steps));
    Json answer;
    for (std::size_t part = 1; part < kStepParts; ++part) {
      for (const auto& seconds : all) {
        answer[kPartNames[part]].push_back(seconds[part]);
      }
    }
    return answer;
  }

  std::map<std::pair<std::string, std::int64_t>, Split> data_;
  Shared shared_;
  std::map<std::string, std::unique_ptr<Trainer>> trainers_;
};

// A device that has failed once answers every later call with that failure; whoever asks starts another
// process.
Json answer_line(Bench& bench, const std::string& line) {
  try {
    Result<Json> answer = bench.answer(Json::parse(line));
    return answer.ok() ? *answer : Json{{"error", answer.error().message}};
  } catch (const Json::exception& error) {
    return {{"error", fmt::format("this order is not understood: {}", error.what())}};
  }
}

Status print_description() {
  ASSIGN_OR_RETURN(const std::string text, device_description());
  fmt::print("{}\n", text);
  return {};
}

}  // namespace
}  // namespace regatta::cuda

int main(int argc, char** argv) {
  using namespace regatta;
  CLI::App app(
      "Trains networks on a GPU as told on the standard input; benchmarks/gpu/compare.py starts it.");
  bool describe_device = false;
  app.add_flag("--device-description", describe_device, "print the device as cuDNN describes it, and end");
  CLI11_PARSE(app, argc, argv);
  set_up_log({});  // not to standard output, where the answers go
  if (describe_device) {
    const Status status = cuda::print_description();
    if (!status.ok()) {
      fmt::print(stderr, "{}\n", status.error().message);
      return 1;
    }
    return 0;
  }
  cuda::Bench bench;
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", cuda::answer_line(bench, line).dump());
    std::fflush(stdout);
  }
}
