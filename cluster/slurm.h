// The Slurm allocation that this process runs in, as its environment tells.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace regatta {

struct SlurmAllocation {
  std::string job;                 // its number
  std::string node_list;           // as Slurm writes it: "n[1-2]"
  std::vector<int> cpus;           // of each node that belong to the job
  int gpus_a_node = 0;             // the least of all nodes
  int cpus_a_core = 1;             // hardware threads that count as CPUs
  int restarts = 0;                // how often the job was requeued
  std::optional<int> cpus_a_task;  // of --cpus-per-task
  // Of each node, or of each CPU, where the job was given so much; megabytes.
  std::optional<std::int64_t> memory_a_node;
  std::optional<std::int64_t> memory_a_cpu;
  bool batch = false;  // a batch job, to which Slurm speaks by signals and which it can requeue

  int total_cpus() const;
  int step_cpus(int asked) const;  // on a node: a step gets whole cores
};

// How the study's crews lie in an allocation.
struct SlurmRoom {
  SlurmAllocation allocation;
  int nodes_a_crew = 1;
  int gpus_a_node = 0;   // of one crew, on each of its nodes
  int crews_wanted = 0;  // by the file, where not so many have room; else 0

  std::string describe(int crews) const;  // a line for people
};

// A variable's value; nullptr where there is none.
using Environment = std::function<const char*(const char*)>;

// nullopt: no allocation whose steps this process could start. So it is within a step (srun --pty bash),
// which holds the cores that further steps would wait for.
std::optional<SlurmAllocation> slurm_allocation(const Environment& environment);
std::optional<SlurmAllocation> slurm_allocation();  // of this process

// "72(x3),36" is 72, 72, 72, 36. Empty where it is no such list.
std::vector<int> parse_repeated(const std::string& text);

// Whether `srun --mpi=list` has named PMIx, in any of the ways that versions of Slurm print.
bool lists_pmix(const std::string& text);

}  // namespace regatta
