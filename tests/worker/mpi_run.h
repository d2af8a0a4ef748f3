// Runs crew_program under mpirun and reads what it prints.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/process.h"

namespace regatta {

struct CrewRun {
  std::vector<nlohmann::json> reports;
  nlohmann::json end;  // null: the crew died
  std::string output;
};

struct CrewCall {
  int ranks = 1;
  int attempt = 1;
  int until_epoch = 1;
  std::string checkpoint = "-";
  std::vector<std::string> answers;
};

// Starts crew_program on so many ranks; its output is appended to `output`.
inline Result<Process> start_crew_program(int ranks, const std::vector<std::string>& arguments,
                                          const std::filesystem::path& output) {
  std::vector<std::string> command{"mpirun", "--oversubscribe",     "--bind-to", "none",
                                   "-n",     std::to_string(ranks), CREW_PROGRAM};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Process::start({.command = std::move(command),
                         .variables = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                       {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                       {"OMPI_MCA_mpi_yield_when_idle", "1"},
                                       {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"}},
                         .output = output});
}

inline std::string text_of_file(const std::filesystem::path& path) {
  const auto text = read_file(path);
  return text.ok() ? *text : text.error().message;
}

inline CrewRun run_crew_program(const std::filesystem::path& experiment, const std::filesystem::path& folder,
                                const CrewCall& call) {
  const std::filesystem::path output = folder / "crew-output.txt";
  std::filesystem::remove(output);
  std::vector<std::string> arguments{experiment.string(), folder.string(), std::to_string(call.attempt),
                                     std::to_string(call.until_epoch), call.checkpoint};
  arguments.insert(arguments.end(), call.answers.begin(), call.answers.end());
  auto process = start_crew_program(call.ranks, arguments, output);
  EXPECT_TRUE(process.ok());
  EXPECT_TRUE(process->wait_for(std::chrono::seconds(120))) << "the crew did not end";
  CrewRun run{.output = text_of_file(output)};
  std::istringstream lines(run.output);
  for (std::string line; std::getline(lines, line);) {
    auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("end")) {
      run.end = std::move(json);
    } else if (json.is_object() && json.contains("epoch")) {
      run.reports.push_back(std::move(json));
    }
  }
  return run;
}

}  // namespace regatta
