// A cluster's partitions and their limits, and whether a job could ever run there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/batch_script.h"

namespace regatta {

// Nodes of one make.
struct NodeKind {
  int nodes = 0;
  int cpus = 0;
  std::int64_t memory_mb = 0;
  int gpus = 0;
};

struct Partition {
  std::string name;
  bool is_default = false;
  std::optional<std::int64_t> max_seconds;  // nullopt: no limit
  std::optional<int> max_nodes;             // a job
  std::vector<NodeKind> kinds;

  int nodes() const;
};

// Of `sinfo --noheader --exact --format=%R|%D|%c|%m|%G|%l|%s|%P`: a line for each kind of node.
std::vector<Partition> parse_partitions(const std::string& text);

Result<std::vector<Partition>> find_partitions();

// "4000", "4000M", "4G", "0.5T" in megabytes; nullopt: no such text.
std::optional<std::int64_t> parse_memory_mb(const std::string& text);

// The time limits that sbatch takes: "90" (minutes), "1:30" (minutes and seconds), "1:30:00", "1-12",
// "1-12:30", "1-12:30:00"; nullopt: no such text.
std::optional<std::int64_t> parse_time_limit(const std::string& text);

// Whether the nodes of this kind have what the request asks for on each of them.
bool has_room(const NodeKind& kind, const JobRequest& request);

// The first of the partitions named by the request (or the default one) where the job could run. Fails with
// what stands in the way and how much the partition allows.
Result<Partition> choose_partition(const JobRequest& request, const std::vector<Partition>& partitions);

}  // namespace regatta
