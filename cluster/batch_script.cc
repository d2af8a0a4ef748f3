// https://slurm.schedmd.com/sbatch.html
#include "cluster/batch_script.h"

#include <fmt/format.h>

#include <algorithm>

namespace regatta {
namespace {

// In file names of #SBATCH lines, '%' begins a replacement.
std::string literal_path(const std::filesystem::path& path) {
  std::string result;
  for (const char letter : path.string()) {
    result += letter == '%' ? "%%" : std::string(1, letter);
  }
  return result;
}

bool is_plain(char letter) {
  const bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
  return is_letter || (letter >= '0' && letter <= '9') ||
         std::string_view("_-./=,:%+@").find(letter) != std::string_view::npos;
}

// Job names are shown in columns.
std::string job_name(const std::string& study) {
  std::string name = "regatta-" + study;
  std::ranges::replace_if(
      name, [](char letter) { return !is_plain(letter); }, '_');
  return name;
}

std::vector<std::string> directives(const BatchScript& script) {
  const JobRequest& request = script.request;
  std::vector<std::string> lines{"--job-name=" + job_name(script.study),
                                 fmt::format("--nodes={}", request.nodes)};
  const auto number = [&lines](const char* name, const std::optional<int>& value) {
    if (value) {
      lines.push_back(fmt::format("--{}={}", name, *value));
    }
  };
  const auto text = [&lines](const char* name, const std::string& value) {
    if (!value.empty()) {
      lines.push_back(fmt::format("--{}={}", name, value));
    }
  };
  number("ntasks-per-node", request.ntasks_per_node);
  number("cpus-per-task", request.cpus_per_task);
  number("gpus-per-node", request.gpus_per_node);
  text("mem", request.memory);
  if (request.exclusive) {
    lines.emplace_back("--exclusive");
  }
  text("time", request.time);
  text("partition", request.partition);
  text("account", request.account);
  text("qos", request.qos);
  lines.push_back(fmt::format("--output=\"{}/slurm-%j.log\"", literal_path(script.folder / "logs")));
  lines.emplace_back("--open-mode=append");
  lines.emplace_back("--requeue");
  lines.push_back(fmt::format("--signal=B:USR1@{}", request.save_seconds));
  lines.insert(lines.end(), request.options.begin(), request.options.end());
  return lines;
}

}  // namespace

std::string shell_quoted(const std::string& text) {
  if (!text.empty() && std::ranges::all_of(text, is_plain)) {
    return text;
  }
  std::string result = "'";
  for (const char letter : text) {
    result += letter == '\'' ? "'\\''" : std::string(1, letter);
  }
  return result + "'";
}

std::string write_batch_script(const BatchScript& script) {
  std::string text = "#!/bin/bash\n";
  for (const std::string& line : directives(script)) {
    text += fmt::format("#SBATCH {}\n", line);
  }
  text +=
      "# Written by `regatta submit`. Every start of the job goes on where the study stands: the first one,\n"
      "# one after the time limit or a preemption, and one that is submitted by hand.\n"
      "trap '' USR1  # of --signal: regatta heeds it as soon as it runs\n";
  for (const std::string& line : script.setup) {
    text += line + "\n";
  }
  text += fmt::format("exec {} resume {}\n", shell_quoted(script.program.string()),
                      shell_quoted(script.folder.string()));
  return text;
}

}  // namespace regatta
