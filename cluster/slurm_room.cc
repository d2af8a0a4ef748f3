// Counts crews node by node: CPUs for all threads of a crew, and cards that no other step has.
#include "cluster/slurm_room.h"

#include <fmt/format.h>

#include <algorithm>

namespace regatta {
namespace {

int divide_up(int dividend, int divisor) { return (dividend + divisor - 1) / divisor; }

// What one crew asks for.
struct CrewShape {
  int ranks = 1;
  int threads = 1;  // a rank
  int ranks_per_gpu = 1;
  std::optional<int> gpus;  // a crew; else as many as its ranks need
  bool on_cards = false;

  int cards_of(int ranks_there) const { return on_cards ? divide_up(ranks_there, ranks_per_gpu) : 0; }
  int cards() const { return on_cards ? gpus.value_or(cards_of(ranks)) : 0; }
};

struct Fit {
  int crews = 0;
  int nodes_a_crew = 1;
};

int ranks_on_node(int cpus, const CrewShape& shape, int cards) {
  const int by_cpus = cpus / shape.threads;
  return shape.on_cards ? std::min(by_cpus, cards * shape.ranks_per_gpu) : by_cpus;
}

Fit fit(const SlurmAllocation& allocation, const CrewShape& shape) {
  int whole = 0;
  int smallest = ranks_on_node(allocation.cpus.front(), shape, allocation.gpus_a_node);
  for (const int cpus : allocation.cpus) {
    const int by_cpus = cpus / allocation.step_cpus(shape.ranks * shape.threads);
    whole += shape.cards() > 0 ? std::min(by_cpus, allocation.gpus_a_node / shape.cards()) : by_cpus;
    smallest = std::min(smallest, ranks_on_node(cpus, shape, allocation.gpus_a_node));
  }
  if (whole > 0 || smallest == 0) {
    return {.crews = whole};
  }
  const int nodes = divide_up(shape.ranks, smallest);
  return {.crews = static_cast<int>(allocation.cpus.size()) / nodes, .nodes_a_crew = nodes};
}

// The most threads with which so many crews still have room.
int most_threads(const SlurmAllocation& allocation, CrewShape shape, int crews) {
  for (shape.threads = *std::ranges::max_element(allocation.cpus); shape.threads > 1; --shape.threads) {
    const Fit found = fit(allocation, shape);
    if (found.crews >= crews && found.nodes_a_crew == 1) {
      return shape.threads;
    }
  }
  return 1;
}

std::string describe(const SlurmAllocation& allocation, bool on_cards) {
  const auto [least, most] = std::ranges::minmax(allocation.cpus);
  return fmt::format("{} has {} node{} with {} CPUs{} each",
                     allocation.job.empty() ? "the job" : "job " + allocation.job, allocation.cpus.size(),
                     allocation.cpus.size() == 1 ? "" : "s",
                     least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most),
                     on_cards ? fmt::format(" and {} GPUs", allocation.gpus_a_node) : "");
}

Place place_of(const Node& node, std::string_view key) {
  const Node* found = node.find(key);
  return found == nullptr ? node.place() : found->place();
}

}  // namespace

Result<std::optional<SlurmAllocation>> allocation_for(const Resources& resources, const Node& node,
                                                      const std::optional<SlurmAllocation>& found) {
  if (resources.launcher == "slurm" && !found) {
    return mistake_at(
        place_of(node, "launcher"),
        "launcher: there is no Slurm allocation here whose steps the crews could be: start this "
        "with `regatta submit`, or in the shell of `salloc`; `srun --pty` makes a step, in "
        "which there are no others");
  }
  return resources.launcher == "mpirun" ? std::nullopt : found;
}

bool awaits_allocation(const Resources& resources) {
  return resources.launcher == "slurm" && !slurm_allocation();
}

Status settle_room(Resources& resources, const Node& node, const RoomRequest& request) {
  const SlurmAllocation& allocation = request.allocation;
  if (request.on_cards && !resources.gpus.empty()) {
    return mistake_at(place_of(node, "gpus"),
                      "gpus: Slurm deals the cards of a job to its crews; give how many a crew gets "
                      "(gpus: 2), or leave it out");
  }
  const bool gives_threads = node.find("threads") != nullptr || allocation.cpus_a_task;
  CrewShape shape{
      .ranks = resources.ranks,
      .threads = node.find("threads") != nullptr ? resources.threads : allocation.cpus_a_task.value_or(1),
      .ranks_per_gpu = resources.ranks_per_gpu,
      .gpus = resources.gpus_a_crew,
      .on_cards = request.on_cards};
  const Fit found = fit(allocation, shape);
  const std::string crew = fmt::format("a crew of {} ranks x {} threads", shape.ranks, shape.threads);
  if (found.crews == 0) {
    return mistake_at(place_of(node, "ranks"),
                      fmt::format("{} has no room: {}; give the job more nodes or CPUs, or lower "
                                  "resources.ranks or threads",
                                  crew, describe(allocation, request.on_cards)));
  }
  const int wanted = node.find("crews") != nullptr ? resources.crews : found.crews;
  resources.crews = std::min(wanted, found.crews);
  if (!gives_threads && found.nodes_a_crew == 1) {
    shape.threads = most_threads(allocation, shape, resources.crews);
  }
  resources.threads = shape.threads;
  const int ranks_there = divide_up(shape.ranks, found.nodes_a_crew);
  const int cards_there = shape.gpus && request.on_cards ? divide_up(*shape.gpus, found.nodes_a_crew)
                                                         : shape.cards_of(ranks_there);
  resources.slurm = SlurmRoom{.allocation = allocation,
                              .nodes_a_crew = found.nodes_a_crew,
                              .gpus_a_node = cards_there,
                              .crews_wanted = wanted > found.crews ? wanted : 0};
  return {};
}

}  // namespace regatta
