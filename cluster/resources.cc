// Reads the section.
#include "cluster/resources.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiment/section.h"

namespace regatta {
namespace {

constexpr std::int64_t kMost = 1'000'000;  // keeps products of two counts within 64 bits

int count(Section& section, std::string_view key, std::optional<std::int64_t> fallback) {
  return static_cast<int>(section.integer(key, {.fallback = fallback, .min = 1, .max = kMost}));
}

}  // namespace

Result<Resources> read_resources(const Node& node, int cores) {
  Section section(node, "resources");
  Resources resources;
  resources.ranks = count(section, "ranks", 1);
  const auto threads = section.optional_integer("threads", {.min = 1, .max = kMost});
  const std::int64_t cores_a_crew = std::int64_t{resources.ranks} * threads.value_or(1);
  resources.crews = count(section, "crews", std::max<std::int64_t>(1, cores / cores_a_crew));
  const std::int64_t all_ranks = std::int64_t{resources.crews} * resources.ranks;
  resources.threads = static_cast<int>(threads.value_or(std::max<std::int64_t>(1, cores / all_ranks)));
  resources.max_attempts = count(section, "max_attempts", 3);
  resources.device = section.choice("device", {"auto", "cpu", "cuda"}, "auto");
  resources.lanes = count(section, "lanes", 1);
  resources.wire = section.choice("wire", {"fp32", "bf16", "fp16"}, "fp32");
  if (resources.device == "cuda") {
    section.mistake(
        node.find("device")->place(),
        "device: this build has no CUDA; use 'auto' or 'cpu', or build where the CUDA toolkit is");
  }
  RETURN_IF_ERROR(section.finish());
  return resources;
}

std::optional<std::string> oversubscription_warning(const Resources& resources, int cores) {
  const std::int64_t wanted = std::int64_t{resources.crews} * resources.ranks * resources.threads;
  if (wanted <= cores) {
    return std::nullopt;
  }
  return fmt::format(
      "{} crews x {} ranks x {} threads want {} cores, but {} can be used: everything will run slower; lower "
      "resources.crews, ranks or threads",
      resources.crews, resources.ranks, resources.threads, wanted, cores);
}

}  // namespace regatta
