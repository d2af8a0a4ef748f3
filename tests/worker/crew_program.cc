// One attempt on the ranks of an mpirun, with a scripted coordinator; prints the reports and the end as JSON.
//
//   crew_program EXPERIMENT FOLDER ATTEMPT UNTIL CHECKPOINT [ANSWER…]
//   CHECKPOINT  "-": from the start
//   ANSWER      "report:3=end", "report:2=5" (go on until 5), "report:3=suspend",
//               "asked:2=suspend", "asked:4=end", "asked:4=die" (SIGKILL for the leader)
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "collectives/mpi_communicator.h"
#include "scripted_control.h"
#include "worker/crew_member.h"

namespace regatta {
namespace {

using nlohmann::ordered_json;

constexpr int kMaxEpochs = 9;

Decision decision_of(const std::string& word) {
  if (word == "end") {
    return {.action = Decision::Action::end};
  }
  if (word == "suspend") {
    return {.action = Decision::Action::suspend};
  }
  return {.until_epoch = std::stoi(word)};
}

struct Script {
  std::map<int, Decision> answers;
  std::map<int, std::string> when_asked;
};

Script read_script(const std::vector<std::string>& texts) {
  Script script;
  for (const std::string& text : texts) {
    const std::size_t colon = text.find(':');
    const std::size_t equals = text.find('=');
    const int number = std::stoi(text.substr(colon + 1, equals - colon - 1));
    const std::string word = text.substr(equals + 1);
    if (text.starts_with("report")) {
      script.answers[number] = decision_of(word);
    } else {
      script.when_asked[number] = word;
    }
  }
  return script;
}

void print(const ordered_json& line) {
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

std::unique_ptr<ScriptedControl> make_control(const Script& script, int until_epoch) {
  auto control = std::make_unique<ScriptedControl>(Decision{.until_epoch = until_epoch}, script.answers);
  control->on_report = [](const EpochReport& report) {
    ordered_json line{{"epoch", report.epoch}, {"checkpoint", report.checkpoint}};
    for (const auto& [name, value] : report.metrics) {
      line[name] = value;
    }
    print(line);
  };
  control->on_decide = [&script, raw = control.get()](int asked) {
    const auto found = script.when_asked.find(asked);
    if (found == script.when_asked.end()) {
      return;
    }
    if (found->second == "die") {
      ::kill(::getpid(), SIGKILL);
    }
    raw->set(decision_of(found->second).action);
  };
  return control;
}

int run(const std::vector<std::string>& arguments) {
  auto session = MpiSession::start();
  CHECK(session.ok(), session.error().message);
  const auto communicator = (*session)->world_communicator();
  const SystemClock clock;
  std::ifstream file(arguments[0]);
  wire::Welcome welcome;
  welcome.set_experiment_yaml(std::string(std::istreambuf_iterator<char>(file), {}));
  welcome.set_experiment_file(arguments[0]);
  welcome.set_folder(arguments[1]);
  welcome.set_max_epochs(kMaxEpochs);
  auto member = CrewMember::join(*communicator, clock, welcome, 1);
  CHECK(member.ok(), member.error().message);

  wire::StartAttempt start;
  start.set_attempt(std::stoi(arguments[2]));
  start.set_trial(12);
  start.set_until_epoch(std::stoi(arguments[3]));
  start.set_checkpoint(arguments[4] == "-" ? "" : arguments[4]);
  const Script script = read_script({arguments.begin() + 5, arguments.end()});
  const bool is_leader = communicator->rank() == 0;
  const auto control = is_leader ? make_control(script, start.until_epoch()) : nullptr;
  const auto end = (*member)->run(start, control.get());
  CHECK(end.ok(), end.error().message);
  if (is_leader) {
    constexpr const char* kHow[] = {"ordered", "complete", "diverged",   "failed",
                                    "invalid", "lost",     "interrupted"};
    print({{"end", kHow[static_cast<int>(end->how)]},
           {"checkpoint", end->checkpoint},
           {"message", end->message}});
  }
  return 0;
}

}  // namespace
}  // namespace regatta

int main(int count, char** values) {
  return regatta::run(std::vector<std::string>(values + 1, values + count));
}
