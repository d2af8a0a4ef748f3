// https://slurm.schedmd.com/sbatch.html
#include "cluster/batch_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <map>
#include <sstream>

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

// Of "4", "B:USR1@120".
std::optional<int> number_at_end(const std::string& text) {
  const std::size_t begin = text.find_last_not_of("0123456789") + 1;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data() + begin, text.data() + text.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
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

// As in a shell, sbatch takes a blank for the end of a word and '#' for the begin of a comment. Options whose
// value is a word of its own ("--constraint ib") and those that are quoted already stay as they are.
std::string quoted_value(const std::string& option) {
  const std::size_t sign = option.find('=');
  const std::size_t odd = option.find_first_of(" \t#");
  if (sign == std::string::npos || odd == std::string::npos || odd < sign ||
      option.find_first_of("\"'") != std::string::npos) {
    return option;
  }
  return fmt::format("{}=\"{}\"", option.substr(0, sign), option.substr(sign + 1));
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
  std::ranges::transform(request.options, std::back_inserter(lines), quoted_value);
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

EarlierScript read_batch_script(const std::string& text) {
  constexpr std::string_view kDirective = "#SBATCH ";
  constexpr std::array kOwn{"--job-name",  "--output",          "--open-mode",    "--requeue",
                            "--exclusive", "--ntasks-per-node", "--cpus-per-task"};
  EarlierScript earlier;
  JobRequest& request = earlier.request;
  const std::map<std::string, std::string*> texts{{"--time", &request.time},
                                                  {"--partition", &request.partition},
                                                  {"--account", &request.account},
                                                  {"--qos", &request.qos},
                                                  {"--mem", &request.memory}};
  std::istringstream lines(text);
  bool in_setup = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kDirective)) {
      if (in_setup && !line.starts_with("exec ")) {
        earlier.setup.push_back(line);
      }
      in_setup = in_setup || line.starts_with("unset SLURM_STEPID ");
      continue;
    }
    const std::string option = line.substr(kDirective.size());
    const std::size_t sign = std::min(option.find('='), option.size());
    const std::string key = option.substr(0, sign);
    const std::string value = sign == option.size() ? "" : option.substr(sign + 1);
    if (const auto found = texts.find(key); found != texts.end()) {
      *found->second = value;
    } else if (key == "--nodes") {
      request.nodes = number_at_end(value).value_or(request.nodes);
    } else if (key == "--gpus-per-node") {
      request.gpus_per_node = number_at_end(value);
    } else if (key == "--signal") {
      request.save_seconds = number_at_end(value).value_or(request.save_seconds);
    } else if (std::ranges::find(kOwn, key) == kOwn.end()) {
      request.options.push_back(option);
    }
  }
  request.memory = request.memory == "0" ? "" : request.memory;
  return earlier;
}

std::string write_batch_script(const BatchScript& script) {
  std::string text = "#!/bin/bash\n";
  for (const std::string& line : directives(script)) {
    text += fmt::format("#SBATCH {}\n", line);
  }
  text +=
      "# Written by `regatta submit`. Every start of the job goes on where the study stands: the first one,\n"
      "# one after the time limit or a preemption, and one that is submitted by hand.\n"
      "trap '' USR1  # of --signal: regatta heeds it as soon as it runs\n"
      "# What the shell that submits has from a step of its own, which sbatch hands on.\n"
      "unset SLURM_STEPID ${!SLURM_STEP_@} ${!SLURM_CPU_BIND@} ${!PMI_@} ${!PMIX_@} ${!OMPI_COMM_@}\n";
  for (const std::string& line : script.setup) {
    text += line + "\n";
  }
  text += fmt::format("exec {} resume {}\n", shell_quoted(script.program.string()),
                      shell_quoted(script.folder.string()));
  return text;
}

}  // namespace regatta
