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

inline CrewRun run_crew_program(const std::filesystem::path& experiment, const std::filesystem::path& folder,
                                const CrewCall& call) {
  const std::filesystem::path output = folder / "crew-output.txt";
  std::filesystem::remove(output);
  std::vector<std::string> command{"mpirun",
                                   "--oversubscribe",
                                   "--bind-to",
                                   "none",
                                   "-n",
                                   std::to_string(call.ranks),
                                   CREW_PROGRAM,
                                   experiment.string(),
                                   folder.string(),
                                   std::to_string(call.attempt),
                                   std::to_string(call.until_epoch),
                                   call.checkpoint};
  command.insert(command.end(), call.answers.begin(), call.answers.end());
  auto process = Process::start({.command = std::move(command),
                                 .variables = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                               {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
                                               {"OMPI_MCA_mpi_yield_when_idle", "1"},
                                               {"OMPI_MCA_btl_vader_single_copy_mechanism", "none"}},
                                 .output = output});
  EXPECT_TRUE(process.ok());
  EXPECT_TRUE(process->wait_for(std::chrono::seconds(120))) << "the crew did not end";
  CrewRun run;
  if (auto text = read_file(output); text.ok()) {
    run.output = *text;
  }
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
