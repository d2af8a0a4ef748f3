// The batch script of a study: pure text.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace regatta {

// What a job asks Slurm for. Texts are as Slurm's own options take them.
struct JobRequest {
  int nodes = 1;
  std::optional<int> ntasks_per_node;
  std::optional<int> cpus_per_task;
  std::optional<int> gpus_per_node;
  std::string time;  // empty: the partition's default
  std::string partition;
  std::string account;
  std::string qos;
  std::string memory;                // a node
  bool exclusive = false;            // whole nodes
  std::vector<std::string> options;  // further lines for #SBATCH
  int save_seconds = 120;            // before the time limit, to write checkpoints
};

struct BatchScript {
  std::string study;              // its name
  std::filesystem::path folder;   // of the study; absolute
  std::filesystem::path program;  // regatta; absolute
  JobRequest request;
  std::vector<std::string> setup;  // lines of shell before the program starts: modules, environments
};

// Ends with `exec`, so that Slurm's signals to the script reach the coordinator.
std::string write_batch_script(const BatchScript& script);

// What such a script asks for and sets up; without the tasks, CPUs and whole nodes, which follow from the
// study's resources where nobody says otherwise.
struct EarlierScript {
  JobRequest request;
  std::vector<std::string> setup;
};
EarlierScript read_batch_script(const std::string& text);

// A word of the shell that stands for the text, whatever is in it.
std::string shell_quoted(const std::string& text);

}  // namespace regatta
