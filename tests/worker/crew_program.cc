// One attempt on the ranks of an mpirun, with a scripted coordinator; prints the reports and the end as JSON.
//
//   crew_program EXPERIMENT FOLDER ATTEMPT UNTIL CHECKPOINT [ANSWER…]
//   crew_program FOLDER CREW         a whole crew, for a coordinator whose address stands in FOLDER
//
//   CHECKPOINT  "-": from the start
//   ANSWER      "report:3=end", "report:2=5" (go on until 5), "report:3=suspend",
//               "asked:2=suspend" (at the second question), "asked:4=end",
//               "point:0.1,32" (the trial's point),
//               "after:2=die" (SIGKILL for the leader at the second question after the report of epoch 2)
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "collectives/mpi_communicator.h"
#include "scripted_control.h"
#include "worker/crew.h"
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
  int die_after_report = -1;
  std::vector<double> point;
};

Script read_script(const std::vector<std::string>& texts) {
  Script script;
  for (const std::string& text : texts) {
    if (text.starts_with("point:")) {
      std::istringstream numbers(text.substr(text.find(':') + 1));
      for (std::string number; std::getline(numbers, number, ',');) {
        script.point.push_back(std::stod(number));
      }
      continue;
    }
    const std::size_t colon = text.find(':');
    const std::size_t equals = text.find('=');
    const int number = std::stoi(text.substr(colon + 1, equals - colon - 1));
    const std::string word = text.substr(equals + 1);
    if (text.starts_with("after")) {
      script.die_after_report = number;
    } else if (text.starts_with("report")) {
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
  control->on_decide = [&script, raw = control.get(), questions = 0](int asked) mutable {
    const bool counts = !raw->reports.empty() && raw->reports.back().epoch >= script.die_after_report;
    if (script.die_after_report > 0 && counts && ++questions == 2) {
      ::kill(::getpid(), SIGKILL);
    }
    if (const auto found = script.when_asked.find(asked); found != script.when_asked.end()) {
      raw->set(decision_of(found->second).action);
    }
  };
  return control;
}

int run_attempt(Communicator& communicator, const std::vector<std::string>& arguments) {
  const SystemClock clock;
  std::ifstream file(arguments[0]);
  wire::Welcome welcome;
  welcome.set_experiment_yaml(std::string(std::istreambuf_iterator<char>(file), {}));
  welcome.set_experiment_file(arguments[0]);
  welcome.set_folder(arguments[1]);
  welcome.set_max_epochs(kMaxEpochs);
  auto member = CrewMember::join(communicator, clock, welcome, {});
  CHECK(member.ok(), member.error().message);

  wire::StartAttempt start;
  start.set_attempt(std::stoi(arguments[2]));
  start.set_trial(12);
  start.set_until_epoch(std::stoi(arguments[3]));
  start.set_checkpoint(arguments[4] == "-" ? "" : arguments[4]);
  const Script script = read_script({arguments.begin() + 5, arguments.end()});
  start.mutable_point()->Add(script.point.begin(), script.point.end());
  const bool is_leader = communicator.rank() == 0;
  const auto control = is_leader ? make_control(script, start.until_epoch()) : nullptr;
  (*member)->begin(start, control.get());
  std::optional<AttemptEnd> end;
  while ((*member)->is_busy()) {
    const auto ended = (*member)->advance();
    CHECK(ended.ok(), ended.error().message);
    if (!ended->empty()) {
      end = ended->front().end;
    }
  }
  if (is_leader) {
    constexpr const char* kHow[] = {"ordered", "complete", "diverged",   "failed",
                                    "invalid", "lost",     "interrupted"};
    print({{"end", kHow[static_cast<int>(end->how)]},
           {"checkpoint", end->checkpoint},
           {"message", end->message}});
  }
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  auto session = MpiSession::start();
  CHECK(session.ok(), session.error().message);
  const auto communicator = (*session)->world_communicator();
  if (arguments.size() > 2) {
    return run_attempt(*communicator, arguments);
  }
  const Status status = run_crew(*communicator, {.folder = arguments[0], .name = arguments[1]});
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.error().message.c_str());
    (*session)->abandon();
  }
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace regatta

int main(int count, char** values) {
  return regatta::run(std::vector<std::string>(values + 1, values + count));
}
